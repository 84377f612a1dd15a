//! An interactive session: keys typed at the guest's console, and what then stands on the screen.

mod screen;
mod steps;

use std::{num::NonZeroU16, time::Duration};

use anyhow::{Result, bail};

use super::report::Report;
use crate::build::Image;
use screen::{Screen, See};
pub use steps::STEPS;
use steps::Step;

/// For one step; the first includes the boot.
const LIMIT: Duration = Duration::from_secs(60);
/// For what is certain not to come.
const IN_VAIN: Duration = Duration::from_millis(500);
const ROWS: NonZeroU16 = NonZeroU16::new(24).unwrap();
/// A session in which that many steps went wrong has nothing more to tell.
const FAILURES: usize = 4;
/// Ctrl-L: a screen on which only this step's doings stand.
const CLEAR: &str = "\x0c";
/// What ends one program or another, the gentlest first: Ctrl-C, the editor's Ctrl-Q (it asks again where something is not
/// saved), the pager's q, Ctrl-\.
const WAYS_OUT: &[&str] = &["\x03", "\x11\x11\x11\x11", "q", "\x1c"];

/// Boots once and types everything, then ends the session with Ctrl-D.
pub fn run(image: &Image, suite: &str, report: &mut Report) -> Result<()> {
    let mut session = Session::start(image, ROWS)?;
    let mut failures = 0;
    let mut lost = false;
    for (number, step) in STEPS.iter().enumerate() {
        let name = step.name();
        // What goes on where another step has failed has nothing to go on from.
        if lost && !step.at_prompt {
            report.skipped(suite, name, "the step before it failed");
            continue;
        }
        let result = session.take(step, LIMIT);
        lost = result.is_err();
        if !step.claim.is_empty() || lost {
            report.settle(suite, name, result)?;
        }
        failures += usize::from(lost);
        let is_hopeless = number == 0 || failures == FAILURES;
        if lost && (is_hopeless || session.recover().is_err()) {
            return Ok(());
        }
    }
    let survives = session.survives_mistakes();
    report.settle(
        suite,
        "a step that fails does not take the next with it",
        survives,
    )?;
    report.settle(suite, "Ctrl-D powers the machine off", session.end())
}

/// Types commands at the prompt, one after the other, and returns all that then stands on a screen of so many rows.
pub fn transcript(image: &Image, rows: NonZeroU16, commands: &[String]) -> Result<Vec<String>> {
    let mut session = Session::start(image, rows)?;
    let screen = &mut session.screen;
    for command in commands {
        screen.wait(See::Prompt, LIMIT)?;
        screen.press(command)?;
        // What is typed is echoed before Enter: the prompt that comes next is a new one.
        let typed = command.clone();
        screen.wait_until(&format!("`{command}` on the screen"), LIMIT, |screen| {
            screen.here().ends_with(&typed)
        })?;
        screen.press("\r")?;
        let row = screen.row();
        screen.wait_until("a prompt below", LIMIT, |screen| {
            screen.row() > row && screen.sees(See::Prompt)
        })?;
    }
    let mut shown = screen.rows();
    shown.truncate(usize::from(screen.row()));
    session.end()?;
    Ok(shown)
}

struct Session {
    screen: Screen,
    /// How often a prompt was looked for.
    recoveries: usize,
}

impl Session {
    fn start(image: &Image, rows: NonZeroU16) -> Result<Self> {
        Ok(Self {
            screen: Screen::start(image, rows)?,
            recoveries: 0,
        })
    }

    fn take(&mut self, step: &Step, limit: Duration) -> Result<()> {
        if step.at_prompt {
            // A person types after the prompt has appeared.
            self.screen.wait(See::Prompt, LIMIT)?;
            self.screen.press(CLEAR)?;
            self.screen.wait(See::EmptyScreen, LIMIT)?;
        }
        self.screen.press(step.keys)?;
        for &sight in step.sees {
            self.screen.wait(sight, limit)?;
        }
        Ok(())
    }

    /// Gets back to a prompt after a step that failed. An answer to a command is what shows that it is one: the prompt of before may
    /// stand there still, and a key that sends a signal takes what was typed behind it with it.
    fn recover(&mut self) -> Result<()> {
        for &keys in WAYS_OUT {
            self.screen.press(keys)?;
            for _ in 0..2 {
                self.recoveries += 1;
                // Ctrl-U: without what the failed step has left on the line.
                let command = format!("\x15echo back$(({}+0))\r", self.recoveries);
                let answer = format!("back{}", self.recoveries);
                self.screen.press(&command)?;
                let found = self.screen.wait_until(&answer, LIMIT / 20, |screen| {
                    screen.rows().contains(&answer) && screen.sees(See::Prompt)
                });
                match found {
                    Err(error) if crate::failure::is_interruption(&error) => return Err(error),
                    Err(_) => {}
                    Ok(()) => return Ok(()),
                }
            }
        }
        bail!("no prompt could be got back");
    }

    /// Steps that fail, each in a place of its own, with one that must not after each.
    fn survives_mistakes(&mut self) -> Result<()> {
        for (number, mistake) in steps::MISTAKES.iter().enumerate() {
            if self.take(mistake, IN_VAIN).is_ok() {
                bail!("step {number} cannot have passed");
            }
            self.recover()?;
            self.take(&steps::AFTERWARDS, LIMIT)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.screen.wait(See::Prompt, LIMIT)?;
        self.screen.press("\x04")?;
        self.screen.end(LIMIT)
    }
}
