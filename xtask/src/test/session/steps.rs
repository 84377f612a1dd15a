//! What a person does at the prompt, and must then see.

use super::screen::See::{self, Prompt, Row, Text, Typed};

pub struct Step {
    /// Empty for what only prepares the next step.
    pub claim: &'static str,
    /// Typed at a prompt on an empty screen, not into a program that runs.
    pub at_prompt: bool,
    pub keys: &'static str,
    pub sees: &'static [See],
}

impl Step {
    pub fn name(&self) -> &'static str {
        if self.claim.is_empty() {
            self.keys
        } else {
            self.claim
        }
    }
}

/// Typed at the prompt.
const fn shell(claim: &'static str, keys: &'static str, sees: &'static [See]) -> Step {
    Step {
        claim,
        at_prompt: true,
        keys,
        sees,
    }
}

/// Typed into what runs in the foreground.
const fn program(claim: &'static str, keys: &'static str, sees: &'static [See]) -> Step {
    Step {
        claim,
        at_prompt: false,
        keys,
        sees,
    }
}

const ROW_OF_A: &str =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A program that answers each line.
const DOUBLES: &str = "sh -c 'echo up; while read x; do echo $x$x; done'";
const DOUBLES_TYPED: &str = "sh -c 'echo up; while read x; do echo $x$x; done'\r";

pub const STEPS: &[Step] = &[
    program("a prompt appears", "", &[Prompt]),
    shell("a command runs", "echo sum $((40+2))\r", &[Row("sum 42")]),
    // Editing a line.
    shell("backspace erases", "echo abX\x7fc\r", &[Row("abc")]),
    shell(
        "arrows move the cursor",
        "echo ac\x1b[Db\x1b[C\x1b[Cd\r",
        &[Row("abcd")],
    ),
    shell(
        "Ctrl-A and Ctrl-E go to the ends",
        "cho ab\x01e\x05c\r",
        &[Row("abc")],
    ),
    shell(
        "Ctrl-W cuts a word, Ctrl-Y pastes it",
        "echo one two\x17\x19\x19\r",
        &[Row("one twotwo")],
    ),
    shell(
        "Ctrl-U cuts what was typed",
        "garbage\x15echo left\r",
        &[Row("left")],
    ),
    shell(
        "Alt-B and Ctrl-K cut the last word",
        "echo keep drop\x1bb\x0b\r",
        &[Row("keep")],
    ),
    shell(
        "Alt-F goes a word on",
        "echo a b\x01\x1bf -n\x05; echo\r",
        &[Row("a b")],
    ),
    shell(
        "Delete takes the character at the cursor",
        "echo aXb\x1b[D\x1b[D\x1b[3~\r",
        &[Row("ab")],
    ),
    shell(
        "Ctrl-D in a line deletes",
        "echo abX\x1b[D\x04\r",
        &[Row("ab")],
    ),
    shell(
        "Ctrl-D at the end of a line does nothing",
        "echo stay\x04ed\r",
        &[Row("stayed")],
    ),
    shell(
        "wide characters are edited as one",
        "echo 日本X\x7f語é\x7fö\r",
        &[Row("日本語ö")],
    ),
    shell(
        "a long line wraps and is edited",
        "echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaX\x01\x05\x7fZ\r",
        &[Row(ROW_OF_A), Row("aaaaZ")],
    ),
    // History.
    shell("", "echo once$((6*7))\r", &[Row("once42")]),
    shell("the up arrow recalls", "\x1b[A\r", &[Row("once42")]),
    shell(
        "up and down go through the history",
        "\x1b[A\x1b[A\x1b[A\x1b[B\x1b[B\r",
        &[Row("once42")],
    ),
    shell("Ctrl-R searches", "\x12sum\r", &[Row("sum 42")]),
    // Its own prompt tells it from the shell around it.
    shell("", "sh\r", &[Text("root@rustos:~#")]),
    shell(
        "another shell knows the history",
        "\x12once\r",
        &[Row("once42")],
    ),
    shell("", "exit\r", &[Row("/root #")]),
    shell("", "echo fc$((1+1))\r", &[Row("fc2")]),
    shell(
        "fc runs a command again, changed",
        "fc -s +1=+2\r",
        &[Row("fc3")],
    ),
    shell(
        "fc lists",
        "fc -l -n -1\r",
        &[Row("        echo fc$((1+2))")],
    ),
    // Completion.
    shell("tab completes a command", "hostna\t\r", &[Row("rustos")]),
    shell(
        "tab completes a file",
        "cat /etc/hostn\t\r",
        &[Row("rustos")],
    ),
    shell("tab completes a variable", "echo $HOM\t\r", &[Row("/root")]),
    shell("", "mkdir d d/sub && touch d/subject\r", &[Prompt]),
    shell(
        "tab after cd completes folders",
        "cd d/s\t\r",
        &[Text("/root/d/sub #")],
    ),
    shell("", "cd\r", &[Row("/root #")]),
    shell(
        "tab twice lists what there is",
        "ls /usr/share/examples/w\x7f\t\t",
        // The line is drawn again below the list, its prompt first.
        &[Text("table.awk"), Typed("ls /usr/share/examples/")],
    ),
    program("", "\x03", &[Prompt]),
    // More than one line.
    shell(
        "a command goes on under PS2",
        "for i in 1 2; do\r",
        &[Typed(">")],
    ),
    program("", "echo turn$i\r", &[Row("> echo turn$i"), Typed(">")]),
    program(
        "and runs when it is whole",
        "done\r",
        &[Row("turn1"), Row("turn2")],
    ),
    shell("", "for i in 1 2; do\r", &[Typed(">")]),
    program("", "\x03", &[Prompt]),
    shell("Ctrl-C drops all of it", "echo fr''ee\r", &[Row("free")]),
    shell(
        "several lines can be pasted",
        "if true\rthen echo pas''ted\rfi\recho and mo''re\r",
        &[Row("pasted"), Row("and more")],
    ),
    // What goes wrong.
    shell(
        "an unknown command is one line",
        "nosuch; echo $?\r",
        &[Row("sh: nosuch: not found"), Row("127")],
    ),
    shell(
        "a syntax error is shown in place",
        "echo )\r",
        &[Text("sh: syntax error: "), Text("^")],
    ),
    // The terminal.
    shell("the window size is known", "stty size\r", &[Row("24 80")]),
    shell(
        "and can change",
        "stty cols 40; stty size; stty cols 80\r",
        &[Row("24 40")],
    ),
    shell(
        "raw mode is left in order",
        "stty -a | grep -o ' icanon'\r",
        &[Row(" icanon")],
    ),
    shell("", "nonsense", &[Typed("nonsense")]),
    program("", "\x03", &[Prompt]),
    shell("Ctrl-C clears a line", "echo cle''ar\r", &[Row("clear")]),
    // Jobs.
    shell(
        "",
        "sh -c 'echo star''ted; exec sleep 500'\r",
        &[Row("started")],
    ),
    program("Ctrl-C stops a program", "\x03", &[Prompt]),
    shell(
        "its status is 130",
        "echo status $?\r",
        &[Row("status 130")],
    ),
    // It answers when it goes on: a key that is typed before that is the shell's, which takes no ^Z.
    shell("", DOUBLES_TYPED, &[Row("up")]),
    program("", "a\r", &[Row("aa")]),
    program("Ctrl-Z stops a program", "\x1a", &[Prompt]),
    shell(
        "jobs shows it stopped, as it was typed",
        "jobs\r",
        &[Text("topped"), Text(DOUBLES)],
    ),
    shell("fg brings it back", "fg\r", &[Row(DOUBLES)]),
    program("", "b\r", &[Row("bb")]),
    program("Ctrl-Z stops it again", "\x1a", &[Prompt]),
    shell("bg still knows it", "bg\r", &[Text("[1] sh -c 'echo up")]),
    shell(
        "",
        "kill -9 %1; wait %1; echo ended $?\r",
        &[Row("ended 137")],
    ),
    shell(
        "",
        "sh -c 'echo star\"\"ted; exec sleep 500'\r",
        &[Row("started")],
    ),
    program("", "\x1a", &[Prompt]),
    shell(
        "bg lets a program go on",
        "bg\r",
        &[Text("[1] sh -c 'echo")],
    ),
    shell("jobs shows that", "jobs\r", &[Text("unning")]),
    shell(
        "",
        "kill -9 %1; wait %1; echo ended $?\r",
        &[Row("ended 137")],
    ),
    shell("", "(echo st''art; sleep 500; true)\r", &[Row("start")]),
    program("a subshell stops too", "\x1a", &[Prompt]),
    shell(
        "and keeps its parentheses",
        "jobs\r",
        &[Text(" (echo st''art; sleep 500; true)")],
    ),
    // Ended, but nobody has waited for it.
    shell(
        "",
        "kill -9 %1; while pgrep -f 'sleep 500' >/dev/null; do :; done; echo go''ne\r",
        &[Row("gone")],
    ),
    shell(
        "of what has ended bg knows nothing",
        "bg; echo status $?\r",
        &[Text("sh: bg: "), Row("status 1")],
    ),
    shell("", "sleep 500 &\r", &[Text("[1]")]),
    shell("jobs shows it running", "jobs\r", &[Text("unning")]),
    shell(
        "kill %1 ends it",
        "kill %1; wait %1; echo ended $?\r",
        &[Row("ended 143")],
    ),
    shell("", "jobs; echo no mo''re\r", &[Row("no more")]),
    shell(
        "",
        "sh -c 'read word; echo \"the $word\"; exec sleep 500' & echo be''hind\r",
        &[Row("behind")],
    ),
    // The shell names the job before it hands over the terminal: only the job's own answer shows that it has it.
    shell("", "fg\r", &[Text("exec sleep 500")]),
    program(
        "a program in the background can be brought to the front",
        "front\r",
        &[Row("the front")],
    ),
    program("and stopped by Ctrl-\\", "\x1c", &[Prompt]),
    shell(
        "output without a newline stays to be seen",
        "printf 'ab''c'\r",
        &[Row("abc%")],
    ),
    shell(
        "",
        "exec >&-; echo cl''osed >&2\r",
        &[Row("closed"), Prompt],
    ),
    shell(
        "a closed output takes nobody's prompt",
        "exec >/dev/tty; echo ag''ain\r",
        &[Row("again")],
    ),
    // Programs that take the whole screen.
    shell("", "kibi story\r", &[Text("^S save")]),
    program(
        "an editor shows what is typed",
        "once\rupon",
        &[Text("1 │once"), Text("2 │upon"), Text("(modified)")],
    ),
    program(
        "Ctrl-S saves, and stops no output",
        "\x13",
        &[Text("9B written to story")],
    ),
    program("Ctrl-Q leaves it", "\x11", &[Prompt]),
    shell(
        "the file is what was typed",
        "cat -A story; echo\r",
        &[Row("once$"), Row("upon")],
    ),
    shell("", "stty -a | grep -o ' ixon'\r", &[Row(" ixon")]),
    shell(
        "top shows the processes",
        "top\r",
        &[Text("load average"), Text("PID"), Text("init")],
    ),
    program("q leaves it", "q", &[Prompt]),
    shell(
        "watch repeats a command",
        "watch -n 1 'echo ti''cks; cat /proc/uptime'\r",
        &[Text("ticks"), Text("Every 1")],
    ),
    program("Ctrl-C leaves it", "\x03", &[Prompt]),
    shell(
        "the screen is a shell's again",
        "echo ba''ck\r",
        &[Row("back")],
    ),
];

/// Steps that go wrong, with nothing, a line, a program and an editor to get out of.
pub const MISTAKES: &[Step] = &[
    shell("", "echo one\r", &[Row("two")]),
    shell("", "half a line", &[Row("two")]),
    shell("", "cat\r", &[Row("two")]),
    shell("", "kibi story\rmore", &[Row("two")]),
];
/// What must be right after each of them.
pub const AFTERWARDS: Step = shell("", "echo right$((1+0))\r", &[Row("right1")]);
