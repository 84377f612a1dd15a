//! Prompts: POSIX's parameter expansion, and bash's escapes, which most people's PS1 uses.

use crate::System;
use yash_env::Env;
use yash_env::input::Context;
use yash_prompt::{expand_posix, fetch_posix};

/// A prompt as the terminal gets it, and without what takes no room on the line.
pub struct Prompt {
    pub raw: String,
    pub styled: String,
}

/// The prompt that the line after `context` starts with.
pub async fn expand(env: &mut Env<System>, context: &Context) -> Prompt {
    let text = fetch_posix(&env.variables, context);
    let text = decode(env, &text);
    let text = expand_posix(env, &text, false).await;
    Prompt {
        raw: without_sequences(&text),
        styled: text.replace(['\u{1}', '\u{2}'], ""),
    }
}

/// Replaces the escapes; the rest, `$` included, is left to yash.
fn decode(env: &Env<System>, text: &str) -> String {
    let mut output = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            output.push(c);
            continue;
        }
        match chars.next() {
            Some('u') => output.push_str(&quote(&user(env))),
            Some('h') => output.push_str(&quote(host().split('.').next().unwrap_or_default())),
            Some('H') => output.push_str(&quote(&host())),
            Some('w') => output.push_str(&quote(&directory(env))),
            Some('W') => {
                let directory = directory(env);
                let last = directory.rsplit('/').find(|part| !part.is_empty());
                output.push_str(&quote(last.unwrap_or(&directory)));
            }
            // SAFETY: the call takes no pointer.
            Some('$') => output.push_str(if unsafe { libc::geteuid() } == 0 {
                "#"
            } else {
                "\\$"
            }),
            Some('n') => output.push('\n'),
            Some('s') => output.push_str("sh"),
            Some('e') => output.push('\u{1b}'),
            Some('a') => output.push('\u{7}'),
            // These enclose what takes no room; they are dropped from what is printed.
            Some('[') => output.push('\u{1}'),
            Some(']') => output.push('\u{2}'),
            Some('0') => {
                let rest: String = chars.clone().take(2).collect();
                if let Ok(code @ 1..=127) = u8::from_str_radix(&rest, 8) {
                    output.push(char::from(code));
                    chars.nth(1);
                }
            }
            Some(c) => output.extend(['\\', c]),
            None => output.push_str("\\\\"),
        }
    }
    output
}

/// Keeps yash from expanding anything in `text`.
fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        if matches!(c, '$' | '`' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

fn user(env: &Env<System>) -> String {
    // SAFETY: the call takes no pointer.
    let is_root = unsafe { libc::geteuid() } == 0;
    match env
        .variables
        .get_scalar("USER")
        .or_else(|| env.variables.get_scalar("LOGNAME"))
    {
        Some(user) => user.to_owned(),
        None if is_root => "root".to_owned(),
        None => "user".to_owned(),
    }
}

fn host() -> String {
    let mut name = [0u8; 256];
    // SAFETY: the length given leaves room for a final zero byte.
    if unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) } != 0 {
        return "localhost".to_owned();
    }
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&name[..length]).into_owned()
}

/// The working directory, with `~` for the home directory.
fn directory(env: &Env<System>) -> String {
    let directory = env.variables.get_scalar("PWD").unwrap_or_default();
    let home = env
        .variables
        .get_scalar("HOME")
        .unwrap_or_default()
        .trim_end_matches('/');
    match directory.strip_prefix(home) {
        Some(rest) if !home.is_empty() && (rest.is_empty() || rest.starts_with('/')) => {
            format!("~{rest}")
        }
        _ => directory.to_owned(),
    }
}

/// Drops what `\[` and `\]` enclose, and colours.
fn without_sequences(text: &str) -> String {
    let mut output = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1}' => {
                chars.by_ref().find(|&c| c == '\u{2}');
            }
            '\u{1b}' => {
                chars.by_ref().find(char::is_ascii_alphabetic);
            }
            c => output.push(c),
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_take_no_room() {
        assert_eq!(without_sequences("\u{1}\u{1b}[1m\u{2}a\u{1b}[0mb"), "ab");
    }

    #[test]
    fn quoted_text_is_not_expanded() {
        assert_eq!(quote("a$b`c\\"), "a\\$b\\`c\\\\");
    }
}
