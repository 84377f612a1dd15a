//! The interpreter: its state, the run from BEGIN to END, and statements.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;

use crate::array::Key;
use crate::ast::*;
use crate::input::{Reader, Rs};
use crate::number;
use crate::output::Out;
use crate::record::Record;
use crate::regex::{Case, Regex};
use crate::str::{FoldState, Str};
use crate::streams::InStream;
use crate::value::{ArrayRc, Value, new_array};

/// Why evaluation stopped short.
pub enum Stop {
    Next,
    NextFile,
    Exit,
    Fatal(Box<Message>),
}

/// The words of a fatal error; boxed, because results are everywhere and errors rare.
pub struct Message(pub String);

pub type Eval<T> = Result<T, Stop>;

pub fn fatal<T>(message: impl Into<String>) -> Eval<T> {
    Err(Stop::Fatal(Box::new(Message(message.into()))))
}

/// How a statement ended.
pub enum Flow {
    Normal,
    Break,
    Continue,
    Return,
}

/// Bytes of stack after which recursion is refused rather than run into the guard page.
const STACK_LIMIT: usize = 7 << 20;

pub struct Interp<'p> {
    pub prog: &'p Program,
    pub globals: Vec<Value>,
    pub stack: Vec<Value>,
    pub base: usize,
    pub returned: Value,
    pub regexes: Vec<Option<Rc<Regex>>>,
    pub dynamic: HashMap<Str, Rc<Regex>, FoldState>,
    pub case: Case,
    pub rec: Record,
    pub nr: f64,
    pub fnr: f64,
    pub rt: Vec<u8>,
    pub ofs: Str,
    pub ors: Str,
    pub subsep: Str,
    pub convfmt: Str,
    pub ofmt: Str,
    pub rs: Rs,
    ranges: Vec<bool>,
    pub reader: Option<Reader>,
    pub operand: usize,
    pub read_any_file: bool,
    pub input_done: bool,
    pub inputs: HashMap<Str, InStream>,
    pub outputs: HashMap<Str, Out>,
    pub stdout: Out,
    pub spare: Vec<Vec<u8>>,
    pub random: u64,
    pub seed: f64,
    pub exit_code: i32,
    pub line: u32,
    stack_top: usize,
    in_end: bool,
}

impl<'p> Interp<'p> {
    pub fn new(prog: &'p Program, stdout: Out) -> Interp<'p> {
        let mut globals = vec![Value::Uninit; prog.globals.len()];
        let text = |s: &str| Value::Str(Str::from(s));
        globals[special::FS as usize] = text(" ");
        globals[special::OFS as usize] = text(" ");
        globals[special::ORS as usize] = text("\n");
        globals[special::RS as usize] = text("\n");
        globals[special::SUBSEP as usize] = text("\x1c");
        globals[special::CONVFMT as usize] = text("%.6g");
        globals[special::OFMT as usize] = text("%.6g");
        globals[special::RLENGTH as usize] = Value::Num(-1.0);
        globals[special::RSTART as usize] = Value::Num(0.0);
        globals[special::FILENAME as usize] = text("");
        globals[special::IGNORECASE as usize] = Value::Num(0.0);
        globals[special::FPAT as usize] = text("[^[:space:]]+");
        globals[special::FIELDWIDTHS as usize] = text("");
        globals[special::ERRNO as usize] = text("");
        globals[special::ARGIND as usize] = Value::Num(0.0);
        Interp {
            prog,
            globals,
            stack: Vec::with_capacity(256),
            base: 0,
            returned: Value::Uninit,
            regexes: vec![None; prog.regexes.len()],
            dynamic: HashMap::default(),
            case: Case::Sensitive,
            rec: Record::new(),
            nr: 0.0,
            fnr: 0.0,
            rt: Vec::new(),
            ofs: Str::from(" "),
            ors: Str::from("\n"),
            subsep: Str::from("\x1c"),
            convfmt: Str::from("%.6g"),
            ofmt: Str::from("%.6g"),
            rs: Rs::Byte(b'\n'),
            ranges: vec![false; prog.ranges],
            reader: None,
            operand: 1,
            read_any_file: false,
            input_done: false,
            inputs: HashMap::new(),
            outputs: HashMap::new(),
            stdout,
            spare: Vec::new(),
            random: 0,
            seed: 1.0,
            exit_code: 0,
            line: 0,
            stack_top: stack_here(),
            in_end: false,
        }
    }

    /// Runs the whole program; `Err` is a fatal message.
    pub fn run(&mut self) -> Result<i32, String> {
        let mut result = self.begin_and_main();
        if matches!(result, Ok(()) | Err(Stop::Exit)) && self.prog.has_end && !self.in_end {
            self.in_end = true;
            result = self.run_block(&self.prog.end);
        }
        match result {
            Err(Stop::Fatal(message)) => Err(message.0),
            _ => Ok(self.exit_code),
        }
    }

    fn begin_and_main(&mut self) -> Eval<()> {
        let prog = self.prog;
        self.run_block(&prog.begin)?;
        let reads = !prog.rules.is_empty()
            || prog.has_end
            || !prog.begin_file.is_empty()
            || !prog.end_file.is_empty();
        if !reads {
            return Ok(());
        }
        while self.next_record()? {
            match self.rules() {
                Ok(()) => continue,
                Err(Stop::Next) => {}
                Err(Stop::NextFile) => self.next_file()?,
                Err(other) => return Err(other),
            }
            // `next` may have come from inside the arguments of a call.
            self.stack.clear();
        }
        Ok(())
    }

    pub fn run_block(&mut self, body: &'p [Stmt]) -> Eval<()> {
        self.block(body).map(|_| ())
    }

    #[inline]
    fn rules(&mut self) -> Eval<()> {
        let prog = self.prog;
        for rule in &prog.rules {
            let chosen = match &rule.pattern {
                RulePattern::Always => true,
                RulePattern::When(e) => {
                    self.line = rule.line;
                    self.truth(e)?
                }
                RulePattern::Range(first, last, i) => {
                    self.line = rule.line;
                    if !self.ranges[*i] && !self.truth(first)? {
                        false
                    } else {
                        self.ranges[*i] = !self.truth(last)?;
                        true
                    }
                }
            };
            if !chosen {
                continue;
            }
            match &rule.body {
                Some(body) => {
                    self.block(body)?;
                }
                None => self.print_record()?,
            }
        }
        Ok(())
    }

    // Statements.

    #[inline]
    pub fn block(&mut self, body: &'p [Stmt]) -> Eval<Flow> {
        for stmt in body {
            match self.stmt(stmt)? {
                Flow::Normal => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Normal)
    }

    fn stmt(&mut self, stmt: &'p Stmt) -> Eval<Flow> {
        self.line = stmt.line;
        match &stmt.kind {
            StmtKind::Expr(e) => {
                self.effect(e)?;
                Ok(Flow::Normal)
            }
            StmtKind::Print(p) => {
                self.print(p)?;
                Ok(Flow::Normal)
            }
            StmtKind::Printf(p) => {
                self.printf(p)?;
                Ok(Flow::Normal)
            }
            StmtKind::If(cond, yes, no) => {
                let body = if self.truth(cond)? { yes } else { no };
                self.block(body)
            }
            StmtKind::While(cond, body) => {
                while self.truth(cond)? {
                    match self.block(body)? {
                        Flow::Break => break,
                        Flow::Return => return Ok(Flow::Return),
                        Flow::Normal | Flow::Continue => {}
                    }
                }
                Ok(Flow::Normal)
            }
            StmtKind::DoWhile(body, cond) => {
                loop {
                    match self.block(body)? {
                        Flow::Break => break,
                        Flow::Return => return Ok(Flow::Return),
                        Flow::Normal | Flow::Continue => {}
                    }
                    if !self.truth(cond)? {
                        break;
                    }
                }
                Ok(Flow::Normal)
            }
            StmtKind::For(f) => self.for_loop(f),
            StmtKind::ForIn(var, array, body) => self.for_in(var, array, body),
            StmtKind::Block(body) => self.block(body),
            StmtKind::Break => Ok(Flow::Break),
            StmtKind::Continue => Ok(Flow::Continue),
            _ => self.rare_stmt(stmt),
        }
    }

    #[inline(never)]
    fn rare_stmt(&mut self, stmt: &'p Stmt) -> Eval<Flow> {
        match &stmt.kind {
            StmtKind::Next => Err(Stop::Next),
            StmtKind::NextFile => Err(Stop::NextFile),
            StmtKind::Exit(code) => {
                if let Some(e) = code {
                    self.exit_code = self.num(e)? as i64 as i32 & 0xff;
                }
                Err(Stop::Exit)
            }
            StmtKind::Return(value) => {
                self.returned = match value {
                    Some(e) => self.eval(e)?,
                    None => Value::Uninit,
                };
                Ok(Flow::Return)
            }
            StmtKind::Delete(array, sub) => {
                let key = self.key(sub)?;
                let array = self.array(array)?;
                array.borrow_mut().remove(&key);
                Ok(Flow::Normal)
            }
            StmtKind::DeleteAll(array) => {
                let array = self.array(array)?;
                array.borrow_mut().clear();
                Ok(Flow::Normal)
            }
            StmtKind::Switch(subject, cases) => self.switch(subject, cases),
            _ => Ok(Flow::Normal),
        }
    }

    #[inline(never)]
    fn for_loop(&mut self, f: &'p For) -> Eval<Flow> {
        if let Some(init) = &f.init {
            self.stmt(init)?;
        }
        loop {
            if let Some(cond) = &f.cond
                && !self.truth(cond)?
            {
                break;
            }
            match self.block(&f.body)? {
                Flow::Break => break,
                Flow::Return => return Ok(Flow::Return),
                Flow::Normal | Flow::Continue => {}
            }
            if let Some(step) = &f.step {
                self.stmt(step)?;
            }
        }
        Ok(Flow::Normal)
    }

    /// Runs over the keys that there are at the start, whatever the body does to the array.
    #[inline(never)]
    fn for_in(&mut self, var: &'p LValue, array: &'p ArrayRef, body: &'p [Stmt]) -> Eval<Flow> {
        let array = self.array(array)?;
        let mut keys: Vec<Str> = array.borrow().iter().map(|(k, _)| k).collect();
        if let Value::Array(procinfo) = &self.globals[special::PROCINFO as usize] {
            let order = procinfo
                .borrow()
                .get(&Key::from("sorted_in"))
                .map(|v| v.to_str(b"%.6g"));
            if let Some(order) = order {
                self.sort_keys(&mut keys, &array, &order)?;
            }
        }
        drop(array);
        for key in keys {
            self.assign(var, Value::Input(key))?;
            match self.block(body)? {
                Flow::Break => break,
                Flow::Return => return Ok(Flow::Return),
                Flow::Normal | Flow::Continue => {}
            }
        }
        Ok(Flow::Normal)
    }

    #[inline(never)]
    fn switch(&mut self, subject: &'p Expr, cases: &'p [crate::ast::Case]) -> Eval<Flow> {
        let value = self.eval(subject)?;
        let mut chosen = None;
        for (i, case) in cases.iter().enumerate() {
            let hit = match &case.label {
                Label::Default => false,
                Label::Regex(re) => {
                    let re = self.regex(*re)?;
                    re.is_match(value.to_str(self.convfmt.as_bytes()).as_bytes())
                }
                Label::Value(e) => {
                    let label = self.eval(e)?;
                    crate::value::compare(&value, &label, self.convfmt.as_bytes())
                        == Some(Ordering::Equal)
                }
            };
            if hit {
                chosen = Some(i);
                break;
            }
        }
        let default = || cases.iter().position(|c| matches!(c.label, Label::Default));
        let Some(first) = chosen.or_else(default) else {
            return Ok(Flow::Normal);
        };
        for case in &cases[first..] {
            match self.block(&case.body)? {
                Flow::Normal => {}
                Flow::Break => return Ok(Flow::Normal),
                other => return Ok(other),
            }
        }
        Ok(Flow::Normal)
    }

    // Calls.

    #[inline(never)]
    pub fn call(&mut self, f: usize, args: &'p [Expr]) -> Eval<Value> {
        let prog = self.prog;
        let function = &prog.functions[f];
        if self.stack_top.saturating_sub(stack_here()) > STACK_LIMIT {
            return fatal(format!("function `{}': recursion too deep", function.name));
        }
        let new_base = self.stack.len();
        for (i, arg) in args.iter().enumerate() {
            if i >= function.params.len() {
                // Warned of when parsed: evaluated and dropped.
                self.eval(arg)?;
                continue;
            }
            let value = match arg {
                Expr::Global(_) | Expr::Local(_) | Expr::Index(_) if function.array_params[i] => {
                    self.array_argument(arg, &function.params[i])?
                }
                Expr::Global(slot) => self.globals[*slot as usize].clone(),
                Expr::Local(slot) => self.stack[self.base + *slot as usize].clone(),
                e => self.eval(e)?,
            };
            self.stack.push(value);
        }
        self.enter(f, new_base)
    }

    /// Calls with values at hand.
    pub fn call_values(&mut self, f: usize, args: Vec<Value>) -> Eval<Value> {
        let new_base = self.stack.len();
        let most = self.prog.functions[f].params.len();
        self.stack.extend(args.into_iter().take(most));
        self.enter(f, new_base)
    }

    /// Runs a function whose arguments are on the stack from `new_base` on.
    fn enter(&mut self, f: usize, new_base: usize) -> Eval<Value> {
        let prog = self.prog;
        let function = &prog.functions[f];
        self.stack
            .resize(new_base + function.params.len(), Value::Uninit);
        let old_base = std::mem::replace(&mut self.base, new_base);
        let old_line = self.line;
        let result = self.block(&function.body);
        self.base = old_base;
        self.line = old_line;
        self.stack.truncate(new_base);
        match result? {
            Flow::Return => Ok(std::mem::take(&mut self.returned)),
            _ => Ok(Value::Uninit),
        }
    }

    // Printing.

    pub fn print_record(&mut self) -> Eval<()> {
        self.join();
        self.stdout.buf.extend_from_slice(self.rec.text());
        self.stdout.buf.extend_from_slice(self.ors.as_bytes());
        self.settle()
    }

    #[inline(never)]
    fn print(&mut self, p: &'p Print) -> Eval<()> {
        if let Some((how, name)) = &p.to {
            let mut buf = self.take_spare();
            self.print_args(p, &mut buf)?;
            let name = self.string(name)?;
            let result = self.write_to(*how, &name, &buf);
            self.give_spare(buf);
            return result;
        }
        if p.args.is_empty() {
            return self.print_record();
        }
        if p.pure {
            // Straight into the output buffer; an error takes back what it had begun.
            let mut buf = std::mem::take(&mut self.stdout.buf);
            let start = buf.len();
            let result = self.print_args(p, &mut buf);
            if result.is_err() {
                buf.truncate(start);
            }
            self.stdout.buf = buf;
            result?;
        } else {
            let mut buf = self.take_spare();
            self.print_args(p, &mut buf)?;
            self.stdout.buf.extend_from_slice(&buf);
            self.give_spare(buf);
        }
        self.settle()
    }

    #[inline]
    fn print_args(&mut self, p: &'p Print, buf: &mut Vec<u8>) -> Eval<()> {
        if p.args.is_empty() {
            self.join();
            buf.extend_from_slice(self.rec.text());
        }
        for (i, arg) in p.args.iter().enumerate() {
            if i > 0 {
                buf.extend_from_slice(self.ofs.as_bytes());
            }
            match arg {
                Expr::Num(_) | Expr::Binary(..) | Expr::Neg(_) | Expr::Plus(_) => {
                    let n = self.num(arg)?;
                    number::append(n, self.ofmt.as_bytes(), buf);
                }
                Expr::Str(_) | Expr::FieldConst(_) | Expr::Concat(_) => self.append(arg, buf)?,
                _ => {
                    let value = self.eval(arg)?;
                    value.append_to(self.ofmt.as_bytes(), buf);
                }
            }
        }
        buf.extend_from_slice(self.ors.as_bytes());
        Ok(())
    }

    #[inline(never)]
    fn printf(&mut self, p: &'p Print) -> Eval<()> {
        let mut buf = self.take_spare();
        self.format(&p.args, &mut buf)?;
        let result = match &p.to {
            Some((how, name)) => {
                let name = self.string(name)?;
                self.write_to(*how, &name, &buf)
            }
            None => {
                self.stdout.buf.extend_from_slice(&buf);
                self.settle()
            }
        };
        self.give_spare(buf);
        result
    }

    #[inline(never)]
    pub fn format(&mut self, args: &'p [Expr], out: &mut Vec<u8>) -> Eval<()> {
        let fmt = self.string(&args[0])?;
        let mut values = Vec::with_capacity(args.len() - 1);
        for e in &args[1..] {
            values.push(self.eval(e)?);
        }
        crate::format::sprintf(fmt.as_bytes(), &values, self.convfmt.as_bytes(), out).or_else(fatal)
    }

    // Small buffers for pieces under construction.

    pub fn take_spare(&mut self) -> Vec<u8> {
        let mut buf = self.spare.pop().unwrap_or_default();
        buf.clear();
        buf
    }

    pub fn give_spare(&mut self, buf: Vec<u8>) {
        if self.spare.len() < 8 {
            self.spare.push(buf);
        }
    }

    /// Brings `$0` up to date with its fields.
    #[inline]
    pub fn join(&mut self) {
        if self.rec.is_stale() {
            self.rec.join(self.ofs.as_bytes(), self.convfmt.as_bytes());
        }
    }

    // Regular expressions.

    #[inline]
    pub fn regex(&mut self, i: usize) -> Eval<Rc<Regex>> {
        if let Some(re) = &self.regexes[i] {
            return Ok(re.clone());
        }
        let re = self.compile(&self.prog.regexes[i])?;
        self.regexes[i] = Some(re.clone());
        Ok(re)
    }

    pub fn compile(&self, text: &[u8]) -> Eval<Rc<Regex>> {
        match Regex::new(text, self.case) {
            Ok(re) => Ok(Rc::new(re)),
            Err(e) => fatal(format!(
                "invalid regexp: {e}: /{}/",
                String::from_utf8_lossy(text)
            )),
        }
    }

    /// A regular expression made at run time; the last few hundred are kept.
    pub fn dynamic_regex(&mut self, text: &Str) -> Eval<Rc<Regex>> {
        if let Some(re) = self.dynamic.get(text) {
            return Ok(re.clone());
        }
        for c in crate::ere::unknown_escapes(text.as_bytes()) {
            self.warn(&crate::ere::unknown_escape(c));
        }
        let re = self.compile(text.as_bytes())?;
        if self.dynamic.len() >= 256 {
            self.dynamic.clear();
        }
        self.dynamic.insert(text.clone(), re.clone());
        Ok(re)
    }

    pub fn pattern(&mut self, p: &'p Pattern) -> Eval<Rc<Regex>> {
        match p {
            Pattern::Const(i) => self.regex(*i),
            Pattern::Dynamic(e) => {
                let text = self.string(e)?;
                self.dynamic_regex(&text)
            }
        }
    }

    /// Where the run is, for messages.
    pub fn place(&self) -> String {
        let mut place = self.prog.sources.place_of_line(self.line);
        if self.nr > 0.0 {
            let name = self.globals[special::FILENAME as usize].to_str(b"%.6g");
            let name = if name.is_empty() {
                "-".into()
            } else {
                name.lossy().into_owned()
            };
            place.push_str(&format!("(FILENAME={name} FNR={}) ", self.fnr));
        }
        place
    }

    /// The array in a global slot, made if the slot is untouched.
    pub fn global_array(&mut self, slot: u32) -> ArrayRc {
        match &self.globals[slot as usize] {
            Value::Array(a) => a.clone(),
            _ => {
                let a = new_array();
                self.globals[slot as usize] = Value::Array(a.clone());
                a
            }
        }
    }
}

/// About where the stack is: the address of a local.
#[inline(never)]
fn stack_here() -> usize {
    let mark = 0u8;
    std::hint::black_box(&raw const mark) as usize
}
