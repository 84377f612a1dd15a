//! Recursive descent over the tokens: rules and functions. Names become slots here; statements are in
//! `parse_stmt`, expressions in `parse_expr`.

use std::collections::HashMap;

use crate::ast::*;
use crate::lexer::{Lexer, SyntaxError, Tok, Token, Warnings, Word};

pub(crate) type Parse<T> = Result<T, SyntaxError>;

/// What an expression may not contain where it stands.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ctx {
    /// `>` redirects.
    pub no_gt: bool,
    /// `in` belongs to `for`.
    pub no_in: bool,
}

pub(crate) struct Parser {
    pub(crate) tokens: Vec<Token>,
    pub(crate) at: usize,
    /// Offset of each line's start, for statement lines.
    line_starts: Vec<usize>,
    pub(crate) program: Program,
    globals: HashMap<String, u32>,
    functions: HashMap<String, usize>,
    defined: Vec<Option<usize>>,
    called_at: Vec<usize>,
    pub(crate) locals: HashMap<String, u32>,
    pub(crate) current: Option<usize>,
    /// Bare names passed on as arguments: (caller, parameter, callee, position).
    passes: Vec<(usize, u32, usize, usize)>,
    regex_index: HashMap<Vec<u8>, usize>,
    /// Calls with their number of arguments, checked when all functions are known.
    pub(crate) calls: Vec<(usize, usize, usize)>,
    warnings: Warnings,
    pub(crate) loop_depth: usize,
    pub(crate) switch_depth: usize,
}

pub fn parse(src: &[u8]) -> (Warnings, Result<Program, SyntaxError>) {
    let (tokens, warnings) = match Lexer::new(src).run() {
        Ok(pair) => pair,
        Err(e) => return (Vec::new(), Err(e)),
    };
    let mut line_starts = vec![0];
    line_starts.extend(memchr::memchr_iter(b'\n', src).map(|i| i + 1));
    let mut p = Parser {
        tokens,
        at: 0,
        line_starts,
        program: Program::default(),
        globals: HashMap::new(),
        functions: HashMap::new(),
        defined: Vec::new(),
        called_at: Vec::new(),
        locals: HashMap::new(),
        current: None,
        passes: Vec::new(),
        regex_index: HashMap::new(),
        calls: Vec::new(),
        warnings: Vec::new(),
        loop_depth: 0,
        switch_depth: 0,
    };
    for name in special::NAMES {
        p.global(name);
    }
    p.warnings = warnings;
    let result = p.program();
    (p.warnings, result.map(|()| p.program))
}

impl Parser {
    // Tokens.

    pub(crate) fn tok(&self) -> &Tok {
        &self.tokens[self.at].tok
    }

    pub(crate) fn ahead(&self, n: usize) -> &Tok {
        let i = (self.at + n).min(self.tokens.len() - 1);
        &self.tokens[i].tok
    }

    pub(crate) fn bump(&mut self) -> Tok {
        let tok = self.tokens[self.at].tok.clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        tok
    }

    pub(crate) fn is(&self, p: &str) -> bool {
        matches!(self.tok(), Tok::Punct(q) if *q == p)
    }

    pub(crate) fn is_word(&self, w: Word) -> bool {
        *self.tok() == Tok::Word(w)
    }

    pub(crate) fn eat(&mut self, p: &str) -> bool {
        let yes = self.is(p);
        if yes {
            self.bump();
        }
        yes
    }

    pub(crate) fn expect(&mut self, p: &str) -> Parse<()> {
        if self.eat(p) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    pub(crate) fn unexpected<T>(&self) -> Parse<T> {
        let message = match self.tok() {
            Tok::Newline | Tok::Eof => "unexpected newline or end of string",
            _ => "syntax error",
        };
        Err(SyntaxError::new(self.offset(), message))
    }

    pub(crate) fn offset(&self) -> usize {
        self.tokens[self.at].at
    }

    /// Where the token before the cursor is.
    pub(crate) fn behind(&self) -> usize {
        self.tokens[self.at.saturating_sub(1)].at
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    pub(crate) fn newlines(&mut self) {
        while *self.tok() == Tok::Newline {
            self.bump();
        }
    }

    pub(crate) fn line(&self) -> u32 {
        self.line_starts.partition_point(|&s| s <= self.offset()) as u32
    }

    // Names.

    pub(crate) fn global(&mut self, name: &str) -> u32 {
        if let Some(&slot) = self.globals.get(name) {
            return slot;
        }
        let slot = self.program.globals.len() as u32;
        self.program.globals.push(name.to_string());
        self.globals.insert(name.to_string(), slot);
        slot
    }

    pub(crate) fn var(&mut self, name: &str) -> Parse<Var> {
        if let Some(&i) = self.locals.get(name) {
            return Ok(Var::Local(i));
        }
        if let Some(&f) = self.functions.get(name)
            && self.defined[f].is_some()
        {
            let message = format!(
                "function `{name}' called with space between name and `('\nor used as a variable or an array"
            );
            return Err(SyntaxError::new(self.offset(), message));
        }
        Ok(Var::Global(self.global(name)))
    }

    /// A variable that is used as an array.
    pub(crate) fn array_var(&mut self, name: &str) -> Parse<ArrayRef> {
        let var = self.var(name)?;
        self.mark_array(var);
        Ok(ArrayRef::Var(var))
    }

    pub(crate) fn mark_array(&mut self, var: Var) {
        if let (Var::Local(i), Some(f)) = (var, self.current) {
            self.program.functions[f].array_params[i as usize] = true;
        }
    }

    pub(crate) fn note_pass(&mut self, param: u32, callee: usize, position: usize) {
        if let Some(caller) = self.current {
            self.passes.push((caller, param, callee, position));
        }
    }

    pub(crate) fn function_index(&mut self, name: &str) -> usize {
        if let Some(&f) = self.functions.get(name) {
            return f;
        }
        let f = self.program.functions.len();
        self.program.functions.push(Function {
            name: name.to_string(),
            ..Function::default()
        });
        self.defined.push(None);
        self.called_at.push(self.offset());
        self.functions.insert(name.to_string(), f);
        f
    }

    pub(crate) fn regex(&mut self, text: Vec<u8>) -> usize {
        if let Some(&i) = self.regex_index.get(&text) {
            return i;
        }
        for c in crate::ere::unknown_escapes(&text) {
            let message = format!("warning: {}", crate::ere::unknown_escape(c));
            self.warnings.push((self.offset(), message));
        }
        let i = self.program.regexes.len();
        self.program.regexes.push(text.clone());
        self.regex_index.insert(text, i);
        i
    }

    // Program.

    fn program(&mut self) -> Parse<()> {
        loop {
            while *self.tok() == Tok::Newline || self.is(";") {
                self.bump();
            }
            if *self.tok() == Tok::Eof {
                break;
            }
            self.item()?;
        }
        for (f, at) in self.defined.iter().enumerate() {
            if at.is_none() {
                let name = &self.program.functions[f].name;
                let message = format!("fatal: function `{name}' not defined");
                return Err(SyntaxError::new(self.called_at[f], message));
            }
        }
        for &(f, args, at) in &self.calls {
            let function = &self.program.functions[f];
            if args > function.params.len() {
                let message = format!(
                    "warning: function `{}' called with more arguments than declared",
                    function.name
                );
                self.warnings.push((at, message));
            }
        }
        self.spread_array_params();
        Ok(())
    }

    /// A parameter passed on to an array parameter is an array itself.
    fn spread_array_params(&mut self) {
        loop {
            let mut changed = false;
            for &(caller, param, callee, position) in &self.passes {
                let functions = &mut self.program.functions;
                let is_array = functions[callee].array_params.get(position) == Some(&true);
                let known = &mut functions[caller].array_params[param as usize];
                if is_array && !*known {
                    *known = true;
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn item(&mut self) -> Parse<()> {
        let line = self.line();
        match self.tok().clone() {
            Tok::Word(Word::Function) => self.function(),
            Tok::Word(w @ (Word::Begin | Word::End | Word::BeginFile | Word::EndFile)) => {
                self.bump();
                if !self.is("{") {
                    return self.unexpected();
                }
                let body = self.block()?;
                let stmt = Stmt {
                    line,
                    kind: StmtKind::Block(body),
                };
                match w {
                    Word::Begin => self.program.begin.push(stmt),
                    Word::End => {
                        self.program.has_end = true;
                        self.program.end.push(stmt);
                    }
                    Word::BeginFile => self.program.begin_file.push(stmt),
                    _ => self.program.end_file.push(stmt),
                }
                Ok(())
            }
            _ => self.rule(line),
        }
    }

    fn rule(&mut self, line: u32) -> Parse<()> {
        let pattern = if self.is("{") {
            RulePattern::Always
        } else {
            let first = self.expr(Ctx::default())?;
            if self.eat(",") {
                self.newlines();
                let second = self.expr(Ctx::default())?;
                self.program.ranges += 1;
                RulePattern::Range(first, second, self.program.ranges - 1)
            } else {
                RulePattern::When(first)
            }
        };
        let body = if self.is("{") {
            Some(self.block()?)
        } else {
            match self.tok() {
                Tok::Newline | Tok::Eof | Tok::Punct(";") => None,
                _ => return self.unexpected(),
            }
        };
        self.program.rules.push(Rule {
            line,
            pattern,
            body,
        });
        Ok(())
    }

    fn function(&mut self) -> Parse<()> {
        self.bump();
        let at = self.offset();
        let name = match self.bump() {
            Tok::Name(n) | Tok::FuncName(n) => n,
            _ => return self.unexpected(),
        };
        let f = self.function_index(&name);
        if self.defined[f].is_some() {
            let message = format!("error: function name `{name}' previously defined");
            return Err(SyntaxError::new(at, message));
        }
        self.defined[f] = Some(at);
        self.expect("(")?;
        let mut params = Vec::new();
        while !self.is(")") {
            self.newlines();
            let at = self.offset();
            let Tok::Name(p) = self.bump() else {
                return Err(SyntaxError::new(at, "syntax error"));
            };
            if let Some(&earlier) = self.locals.get(&p) {
                let message = format!(
                    "error: function `{name}': parameter #{}, `{p}', duplicates parameter #{}",
                    params.len() + 1,
                    earlier + 1
                );
                return Err(SyntaxError::new(at, message));
            }
            self.locals.insert(p.clone(), params.len() as u32);
            params.push(p);
            if !self.eat(",") {
                break;
            }
            self.newlines();
        }
        self.expect(")")?;
        self.newlines();
        self.program.functions[f].array_params = vec![false; params.len()];
        self.program.functions[f].params = params;
        self.current = Some(f);
        let body = self.block()?;
        self.program.functions[f].body = body;
        self.current = None;
        self.locals.clear();
        Ok(())
    }
}

/// Whether evaluating `e` changes nothing and runs no other code.
pub(crate) fn is_pure(e: &Expr) -> bool {
    match e {
        Expr::Num(_)
        | Expr::Str(_)
        | Expr::Regex(_)
        | Expr::Global(_)
        | Expr::Local(_)
        | Expr::Special(_)
        | Expr::FieldConst(_) => true,
        Expr::Field(e) | Expr::Not(e) | Expr::Neg(e) | Expr::Plus(e) => is_pure(e),
        Expr::Index(b) => matches!(b.0, ArrayRef::Var(_)) && is_pure(&b.1),
        Expr::Cond(b) => is_pure(&b.0) && is_pure(&b.1) && is_pure(&b.2),
        Expr::And(b) | Expr::Or(b) | Expr::Binary(_, b) | Expr::Compare(_, b) => {
            is_pure(&b.0) && is_pure(&b.1)
        }
        Expr::Concat(v) | Expr::Subscripts(v) => v.iter().all(is_pure),
        Expr::Match(_, e, Pattern::Const(_)) => is_pure(e),
        Expr::Match(_, e, Pattern::Dynamic(p)) => is_pure(e) && is_pure(p),
        Expr::In(e, a) => matches!(**a, ArrayRef::Var(_)) && is_pure(e),
        Expr::Builtin(b, args) => {
            matches!(
                b,
                Builtin::Length
                    | Builtin::Substr
                    | Builtin::Index
                    | Builtin::Toupper
                    | Builtin::Tolower
                    | Builtin::Int
                    | Builtin::Sqrt
                    | Builtin::Exp
                    | Builtin::Log
                    | Builtin::Sin
                    | Builtin::Cos
                    | Builtin::Atan2
                    | Builtin::Sprintf
            ) && args.iter().all(is_pure)
        }
        _ => false,
    }
}
