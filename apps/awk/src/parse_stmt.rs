//! Statements.

use crate::ast::*;
use crate::lexer::{SyntaxError, Tok, Word};
use crate::parser::{Ctx, Parse, Parser, is_pure};

impl Parser {
    pub(crate) fn block(&mut self) -> Parse<Vec<Stmt>> {
        self.expect("{")?;
        let mut body = Vec::new();
        loop {
            while *self.tok() == Tok::Newline || self.is(";") {
                self.bump();
            }
            if self.eat("}") {
                return Ok(body);
            }
            body.push(self.stmt()?);
        }
    }

    /// The statement that an `if` or a loop governs.
    fn governed(&mut self) -> Parse<Vec<Stmt>> {
        self.newlines();
        if self.eat(";") {
            return Ok(Vec::new());
        }
        if self.is("{") {
            return self.block();
        }
        Ok(vec![self.stmt()?])
    }

    fn loop_body(&mut self) -> Parse<Vec<Stmt>> {
        self.loop_depth += 1;
        let body = self.governed();
        self.loop_depth -= 1;
        body
    }

    /// The end of a simple statement.
    fn terminator(&mut self) -> Parse<()> {
        match self.tok() {
            Tok::Newline | Tok::Punct(";") => {
                self.bump();
                Ok(())
            }
            Tok::Punct("}") | Tok::Eof => Ok(()),
            _ => self.unexpected(),
        }
    }

    fn stmt(&mut self) -> Parse<Stmt> {
        let line = self.line();
        let kind = self.stmt_kind()?;
        Ok(Stmt { line, kind })
    }

    fn stmt_kind(&mut self) -> Parse<StmtKind> {
        let Tok::Word(w) = *self.tok() else {
            if self.is("{") {
                return Ok(StmtKind::Block(self.block()?));
            }
            let kind = self.simple()?;
            self.terminator()?;
            return Ok(kind);
        };
        match w {
            Word::If => {
                self.bump();
                let cond = self.condition()?;
                let then = self.governed()?;
                let back = self.position();
                while *self.tok() == Tok::Newline || self.is(";") {
                    self.bump();
                }
                if self.is_word(Word::Else) {
                    self.bump();
                    let other = self.governed()?;
                    return Ok(StmtKind::If(cond, then, other));
                }
                self.rewind(back);
                Ok(StmtKind::If(cond, then, Vec::new()))
            }
            Word::While => {
                self.bump();
                let cond = self.condition()?;
                Ok(StmtKind::While(cond, self.loop_body()?))
            }
            Word::Do => {
                self.bump();
                let body = self.loop_body()?;
                while *self.tok() == Tok::Newline || self.is(";") {
                    self.bump();
                }
                if !self.is_word(Word::While) {
                    return self.unexpected();
                }
                self.bump();
                let cond = self.condition()?;
                self.terminator()?;
                Ok(StmtKind::DoWhile(body, cond))
            }
            Word::For => self.for_stmt(),
            Word::Switch => self.switch(),
            _ => {
                let kind = self.simple()?;
                self.terminator()?;
                Ok(kind)
            }
        }
    }

    fn condition(&mut self) -> Parse<Expr> {
        self.expect("(")?;
        let e = self.expr(Ctx::default())?;
        self.expect(")")?;
        Ok(e)
    }

    fn for_stmt(&mut self) -> Parse<StmtKind> {
        self.bump();
        self.expect("(")?;
        if let Some((var, array)) = self.for_in()? {
            return Ok(StmtKind::ForIn(var, array, self.loop_body()?));
        }
        let init = self.for_part(";")?;
        self.expect(";")?;
        self.newlines();
        let cond = if self.is(";") {
            None
        } else {
            Some(self.expr(Ctx::default())?)
        };
        self.expect(";")?;
        self.newlines();
        let step = self.for_part(")")?;
        self.expect(")")?;
        let body = self.loop_body()?;
        Ok(StmtKind::For(Box::new(For {
            init,
            cond,
            step,
            body,
        })))
    }

    fn for_part(&mut self, end: &str) -> Parse<Option<Stmt>> {
        if self.is(end) {
            return Ok(None);
        }
        let line = self.line();
        let kind = self.simple()?;
        Ok(Some(Stmt { line, kind }))
    }

    /// `x in array)` at the cursor, if that is what stands there.
    fn for_in(&mut self) -> Parse<Option<(LValue, ArrayRef)>> {
        let (Tok::Name(var), Tok::Word(Word::In), Tok::Name(array)) =
            (self.tok().clone(), self.ahead(1), self.ahead(2).clone())
        else {
            return Ok(None);
        };
        // `for (x in a)` but not `for (x in a; …)`.
        let back = self.position();
        self.bump();
        self.bump();
        self.bump();
        if !self.is(")") && !self.is("[") {
            self.rewind(back);
            return Ok(None);
        }
        let target = self.var(&var)?;
        let target = self.lvalue_of(target);
        let mut array = self.array_var(&array)?;
        while self.is("[") {
            let sub = self.subscript()?;
            array = ArrayRef::Element(Box::new(array), Box::new(sub));
        }
        if !self.eat(")") {
            self.rewind(back);
            return Ok(None);
        }
        Ok(Some((target, array)))
    }

    fn switch(&mut self) -> Parse<StmtKind> {
        self.bump();
        let subject = self.condition()?;
        self.newlines();
        self.expect("{")?;
        self.newlines();
        self.switch_depth += 1;
        let mut cases: Vec<Case> = Vec::new();
        while !self.eat("}") {
            let label = if self.is_word(Word::Default) {
                self.bump();
                Label::Default
            } else if self.is_word(Word::Case) {
                self.bump();
                match self.tok().clone() {
                    Tok::Regex(text) => {
                        self.bump();
                        Label::Regex(self.regex(text))
                    }
                    _ => Label::Value(self.unary(Ctx::default())?),
                }
            } else {
                return self.unexpected();
            };
            self.expect(":")?;
            let mut body = Vec::new();
            loop {
                while *self.tok() == Tok::Newline || self.is(";") {
                    self.bump();
                }
                if self.is("}") || self.is_word(Word::Case) || self.is_word(Word::Default) {
                    break;
                }
                body.push(self.stmt()?);
            }
            cases.push(Case { label, body });
        }
        self.switch_depth -= 1;
        Ok(StmtKind::Switch(subject, cases))
    }

    fn simple(&mut self) -> Parse<StmtKind> {
        let at = self.offset();
        let fail = |message: &str| Err(SyntaxError::new(at, message));
        let Tok::Word(w) = *self.tok() else {
            let e = self.expr(Ctx::default())?;
            return Ok(StmtKind::Expr(as_statement(e)));
        };
        match w {
            Word::Print | Word::Printf => self.print(w),
            Word::Getline => Ok(StmtKind::Expr(self.expr(Ctx::default())?)),
            Word::Break | Word::Continue => {
                self.bump();
                if self.loop_depth == 0 && (w == Word::Continue || self.switch_depth == 0) {
                    return fail(if w == Word::Break {
                        "error: `break' is not allowed outside a loop or switch"
                    } else {
                        "error: `continue' is not allowed outside a loop"
                    });
                }
                Ok(if w == Word::Break {
                    StmtKind::Break
                } else {
                    StmtKind::Continue
                })
            }
            Word::Next => {
                self.bump();
                Ok(StmtKind::Next)
            }
            Word::NextFile => {
                self.bump();
                Ok(StmtKind::NextFile)
            }
            Word::Exit | Word::Return => {
                self.bump();
                let value = match self.tok() {
                    Tok::Newline | Tok::Eof | Tok::Punct(";" | "}") => None,
                    _ => Some(self.expr(Ctx::default())?),
                };
                if w == Word::Exit {
                    return Ok(StmtKind::Exit(value));
                }
                if self.current.is_none() {
                    return fail("`return' used outside function context");
                }
                Ok(StmtKind::Return(value))
            }
            Word::Delete => {
                self.bump();
                let parens = self.eat("(");
                let Tok::Name(name) = self.bump() else {
                    return fail("syntax error");
                };
                let mut array = self.array_var(&name)?;
                let mut last = None;
                while self.is("[") {
                    if let Some(sub) = last.take() {
                        array = ArrayRef::Element(Box::new(array), Box::new(sub));
                    }
                    last = Some(self.subscript()?);
                }
                if parens {
                    self.expect(")")?;
                }
                Ok(match last {
                    Some(sub) => StmtKind::Delete(array, sub),
                    None => StmtKind::DeleteAll(array),
                })
            }
            _ => self.unexpected(),
        }
    }

    fn print(&mut self, w: Word) -> Parse<StmtKind> {
        self.bump();
        let ctx = Ctx {
            no_gt: true,
            no_in: false,
        };
        let mut args = Vec::new();
        if self.is("(") && self.parens_are_all() {
            self.bump();
            self.newlines();
            args = self.expr_list(Ctx::default())?;
            self.newlines();
            self.expect(")")?;
        } else if !self.print_ends() {
            args = self.expr_list(ctx)?;
        }
        if w == Word::Printf && args.is_empty() {
            return Err(SyntaxError::new(
                self.offset(),
                "fatal: printf: no arguments",
            ));
        }
        let how = match self.tok() {
            Tok::Punct(">") => Some(Redirect::Truncate),
            Tok::Punct(">>") => Some(Redirect::Append),
            Tok::Punct("|") => Some(Redirect::Pipe),
            _ => None,
        };
        let to = match how {
            None => None,
            Some(how) => {
                self.bump();
                Some((how, self.concat(ctx)?))
            }
        };
        let pure = args.iter().all(is_pure);
        let print = Print { args, to, pure };
        Ok(if w == Word::Print {
            StmtKind::Print(print)
        } else {
            StmtKind::Printf(print)
        })
    }

    fn print_ends(&self) -> bool {
        matches!(
            self.tok(),
            Tok::Newline | Tok::Eof | Tok::Punct(";" | "}" | ">" | ">>" | "|")
        )
    }

    /// Whether the parenthesis at the cursor closes right before the end of the print statement.
    fn parens_are_all(&self) -> bool {
        let mut depth = 0;
        for (i, token) in self.tokens[self.at..].iter().enumerate() {
            match token.tok {
                Tok::Punct("(") => depth += 1,
                Tok::Punct(")") => {
                    depth -= 1;
                    if depth == 0 {
                        return matches!(
                            self.ahead(i + 1),
                            Tok::Newline | Tok::Eof | Tok::Punct(";" | "}" | ">" | ">>" | "|")
                        );
                    }
                }
                Tok::Eof => return false,
                _ => {}
            }
        }
        false
    }
}

/// As a statement nobody wants the old value.
fn as_statement(e: Expr) -> Expr {
    match e {
        Expr::PostInc(lv, d) => Expr::PreInc(lv, d),
        other => other,
    }
}
