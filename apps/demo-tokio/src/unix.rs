//! What tokio has of Unix: sockets in the file system, pipes and signals.

use std::io::{self, ErrorKind};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixDatagram, UnixListener, UnixStream, unix::pipe};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

const CLIENTS: u32 = 40;
const LINES: u32 = 25;

/// A server of lines, a task for each client; every client gets its own lines back in capitals.
pub async fn sockets() -> io::Result<bool> {
    let path = std::env::temp_dir().join(format!("demo-tokio.{}", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    let server = tokio::spawn(async move {
        for _ in 0..CLIENTS {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(stream));
        }
        io::Result::Ok(())
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let path = path.clone();
            tokio::spawn(async move { converse(UnixStream::connect(path).await?, number).await })
        })
        .collect();
    let mut right = true;
    for client in clients {
        right &= client.await??;
    }
    server.await??;
    std::fs::remove_file(&path)?;

    let (a, b) = UnixDatagram::pair()?;
    a.send(b"one message").await?;
    a.send(b"another").await?;
    let mut buffer = [0; 64];
    let lengths = [b.recv(&mut buffer).await?, b.recv(&mut buffer).await?];
    Ok(right && lengths == [11, 7])
}

async fn serve(stream: UnixStream) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = line.to_uppercase() + "\n";
        writer.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

async fn converse(stream: UnixStream, number: u32) -> io::Result<bool> {
    let (reader, mut writer) = stream.into_split();
    let mut answers = BufReader::new(reader).lines();
    for line in 0..LINES {
        let text = format!("client {number} line {line}\n");
        writer.write_all(text.as_bytes()).await?;
        if answers.next_line().await?.as_deref() != Some(text.trim_end().to_uppercase().as_str()) {
            return Ok(false);
        }
    }
    drop(writer);
    Ok(answers.next_line().await?.is_none())
}

/// More bytes than a pipe holds: writer and reader wait for each other by turns.
pub async fn pipes() -> io::Result<bool> {
    const BYTES: usize = 1 << 20;
    let (mut sender, mut receiver) = pipe::pipe()?;
    let writer = tokio::spawn(async move {
        let data: Vec<u8> = (0..BYTES).map(|n| (n % 251) as u8).collect();
        sender.write_all(&data).await
    });
    let mut data = Vec::new();
    receiver.read_to_end(&mut data).await?;
    writer.await??;
    let whole = data.len() == BYTES;
    let in_order = data.iter().enumerate().all(|(n, b)| *b == (n % 251) as u8);

    // Without a writer there is nothing to come.
    let (sender, mut receiver) = pipe::pipe()?;
    drop(sender);
    let ended = receiver.read(&mut [0]).await? == 0;
    // Without a reader writing is an error, not death: Rust programs ignore SIGPIPE.
    let (mut sender, receiver) = pipe::pipe()?;
    drop(receiver);
    let broken = sender.write(b"x").await.err().map(|error| error.kind());
    Ok(whole && in_order && ended && broken == Some(ErrorKind::BrokenPipe))
}

/// Signals from a child, as streams of events.
pub async fn signals() -> io::Result<bool> {
    let mut first = signal(SignalKind::user_defined1())?;
    let mut second = signal(SignalKind::user_defined2())?;
    let mut children = signal(SignalKind::child())?;
    let script = format!(
        "kill -USR1 {0}; read go; kill -USR2 {0}",
        std::process::id()
    );
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .spawn()?;
    let got_first = first.recv().await.is_some();
    let Some(mut go) = child.stdin.take() else {
        return Ok(false);
    };
    go.write_all(b"go\n").await?;
    let got_second = second.recv().await.is_some();
    let success = child.wait().await?.success();
    let got_child = children.recv().await.is_some();

    // A signal ends a child that has not asked to be told.
    use std::os::unix::process::ExitStatusExt;
    let status = Command::new("sh")
        .args(["-c", "kill -TERM $$"])
        .status()
        .await?;
    Ok(got_first && got_second && success && got_child && status.signal() == Some(15))
}
