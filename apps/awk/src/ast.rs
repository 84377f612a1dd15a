//! The resolved program: names are slots, regular expressions are table entries, and the shapes
//! that occur most have nodes of their own.

use crate::str::Str;

/// Slots of the variables that the interpreter itself reads or writes; the program's follow.
pub mod special {
    pub const NAMES: &[&str] = &[
        "NF",
        "NR",
        "FNR",
        "RT",
        "FS",
        "OFS",
        "ORS",
        "RS",
        "SUBSEP",
        "CONVFMT",
        "OFMT",
        "RSTART",
        "RLENGTH",
        "FILENAME",
        "ARGC",
        "ARGV",
        "ENVIRON",
        "IGNORECASE",
        "FIELDWIDTHS",
        "FPAT",
        "ERRNO",
        "ARGIND",
        "PROCINFO",
    ];
    pub const NF: u32 = 0;
    pub const NR: u32 = 1;
    pub const FNR: u32 = 2;
    pub const RT: u32 = 3;
    pub const FS: u32 = 4;
    pub const OFS: u32 = 5;
    pub const ORS: u32 = 6;
    pub const RS: u32 = 7;
    pub const SUBSEP: u32 = 8;
    pub const CONVFMT: u32 = 9;
    pub const OFMT: u32 = 10;
    pub const RSTART: u32 = 11;
    pub const RLENGTH: u32 = 12;
    pub const FILENAME: u32 = 13;
    pub const ARGC: u32 = 14;
    pub const ARGV: u32 = 15;
    pub const ENVIRON: u32 = 16;
    pub const IGNORECASE: u32 = 17;
    pub const FIELDWIDTHS: u32 = 18;
    pub const FPAT: u32 = 19;
    pub const ERRNO: u32 = 20;
    pub const ARGIND: u32 = 21;
    pub const PROCINFO: u32 = 22;

    /// Those whose value is computed when read.
    pub fn is_computed(slot: u32) -> bool {
        slot <= RT
    }

    /// Those whose assignment changes how the interpreter works.
    pub fn is_hooked(slot: u32) -> bool {
        slot <= OFMT || slot == IGNORECASE || slot == FIELDWIDTHS || slot == FPAT
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Var {
    Global(u32),
    Local(u32),
}

#[derive(Debug, Clone)]
pub enum ArrayRef {
    Var(Var),
    /// An array inside an array.
    Element(Box<ArrayRef>, Box<Expr>),
}

#[derive(Debug, Clone)]
pub enum LValue {
    Var(Var),
    /// A variable with a hook or a computed value.
    Special(u32),
    Field(Expr),
    Index(ArrayRef, Expr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cmp {
    Lt,
    Le,
    Eq,
    Ne,
    Gt,
    Ge,
}

#[derive(Debug, Clone)]
pub enum Pattern {
    /// Entry of the table of constant regular expressions.
    Const(usize),
    Dynamic(Box<Expr>),
}

#[derive(Debug, Clone)]
pub enum Expr {
    Num(f64),
    Str(Str),
    /// `$0 ~ /re/`.
    Regex(usize),
    Global(u32),
    Local(u32),
    Special(u32),
    FieldConst(usize),
    Field(Box<Expr>),
    Index(Box<(ArrayRef, Expr)>),
    Assign(Box<(LValue, Expr)>),
    AugAssign(Op, Box<(LValue, Expr)>),
    /// `v = v a b …`, done in place.
    Append(Box<(LValue, Vec<Expr>)>),
    PreInc(Box<LValue>, f64),
    PostInc(Box<LValue>, f64),
    Cond(Box<(Expr, Expr, Expr)>),
    And(Box<(Expr, Expr)>),
    Or(Box<(Expr, Expr)>),
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Plus(Box<Expr>),
    Binary(Op, Box<(Expr, Expr)>),
    Compare(Cmp, Box<(Expr, Expr)>),
    Concat(Vec<Expr>),
    /// Subscripts joined by SUBSEP.
    Subscripts(Vec<Expr>),
    Match(bool, Box<Expr>, Pattern),
    In(Box<Expr>, Box<ArrayRef>),
    Call(usize, Vec<Expr>),
    /// `@name(…)`: the function is named by a variable.
    IndirectCall(Box<Expr>, Vec<Expr>),
    Builtin(Builtin, Vec<Expr>),
    /// `split`, `sub`, `match` …: a regular expression among the operands.
    Regexed(Builtin, Box<Regexed>),
    Getline(Box<Getline>),
}

#[derive(Debug, Clone)]
pub struct Regexed {
    pub pattern: Option<Pattern>,
    pub args: Vec<Expr>,
    pub target: Option<LValue>,
    pub arrays: Vec<ArrayRef>,
}

#[derive(Debug, Clone)]
pub enum Source {
    Main,
    File(Expr),
    Command(Expr),
}

#[derive(Debug, Clone)]
pub struct Getline {
    pub source: Source,
    pub target: Option<LValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirect {
    Truncate,
    Append,
    Pipe,
}

#[derive(Debug)]
pub struct Print {
    pub args: Vec<Expr>,
    pub to: Option<(Redirect, Expr)>,
    /// No argument has a side effect, so each can go out as it is evaluated.
    pub pure: bool,
}

#[derive(Debug)]
pub struct Stmt {
    pub line: u32,
    pub kind: StmtKind,
}

#[derive(Debug)]
pub enum StmtKind {
    Expr(Expr),
    Print(Print),
    Printf(Print),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    While(Expr, Vec<Stmt>),
    DoWhile(Vec<Stmt>, Expr),
    For(Box<For>),
    ForIn(LValue, ArrayRef, Vec<Stmt>),
    Switch(Expr, Vec<Case>),
    Block(Vec<Stmt>),
    Next,
    NextFile,
    Exit(Option<Expr>),
    Return(Option<Expr>),
    Break,
    Continue,
    Delete(ArrayRef, Expr),
    DeleteAll(ArrayRef),
}

#[derive(Debug)]
pub struct For {
    pub init: Option<Stmt>,
    pub cond: Option<Expr>,
    pub step: Option<Stmt>,
    pub body: Vec<Stmt>,
}

#[derive(Debug)]
pub struct Case {
    pub label: Label,
    pub body: Vec<Stmt>,
}

#[derive(Debug)]
pub enum Label {
    Value(Expr),
    Regex(usize),
    Default,
}

#[derive(Debug)]
pub enum RulePattern {
    Always,
    When(Expr),
    Range(Expr, Expr, usize),
}

#[derive(Debug)]
pub struct Rule {
    pub line: u32,
    pub pattern: RulePattern,
    /// `None` prints the record.
    pub body: Option<Vec<Stmt>>,
}

#[derive(Debug, Default)]
pub struct Function {
    pub name: String,
    pub params: Vec<String>,
    /// Parameters that are used as arrays.
    pub array_params: Vec<bool>,
    pub body: Vec<Stmt>,
}

#[derive(Debug, Default)]
pub struct Program {
    pub begin: Vec<Stmt>,
    pub end: Vec<Stmt>,
    pub begin_file: Vec<Stmt>,
    pub end_file: Vec<Stmt>,
    pub rules: Vec<Rule>,
    pub ranges: usize,
    pub functions: Vec<Function>,
    pub globals: Vec<String>,
    pub regexes: Vec<Vec<u8>>,
    pub has_end: bool,
    pub sources: crate::source::Sources,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builtin {
    And,
    Asort,
    Asorti,
    Atan2,
    Close,
    Compl,
    Cos,
    Exp,
    Fflush,
    Gensub,
    Gsub,
    Index,
    Int,
    IsArray,
    Length,
    Log,
    Lshift,
    Match,
    Mktime,
    Or,
    Patsplit,
    Rand,
    Rshift,
    Sin,
    Split,
    Sprintf,
    Sqrt,
    Srand,
    Strftime,
    Strtonum,
    Sub,
    Substr,
    System,
    Systime,
    Tolower,
    Toupper,
    Typeof,
    Xor,
}

/// The builtin of that name, with its least and greatest number of arguments.
pub fn builtin(name: &str) -> Option<Builtin> {
    TABLE.iter().find(|row| row.0 == name).map(|row| row.1)
}

pub fn arity(b: Builtin) -> (&'static str, usize, usize) {
    TABLE
        .iter()
        .find(|row| row.1 == b)
        .map_or(("", 0, usize::MAX), |row| (row.0, row.2, row.3))
}

const MANY: usize = usize::MAX;

const TABLE: &[(&str, Builtin, usize, usize)] = &[
    ("and", Builtin::And, 2, MANY),
    ("asort", Builtin::Asort, 1, 3),
    ("asorti", Builtin::Asorti, 1, 3),
    ("atan2", Builtin::Atan2, 2, 2),
    ("close", Builtin::Close, 1, 2),
    ("compl", Builtin::Compl, 1, 1),
    ("cos", Builtin::Cos, 1, 1),
    ("exp", Builtin::Exp, 1, 1),
    ("fflush", Builtin::Fflush, 0, 1),
    ("gensub", Builtin::Gensub, 3, 4),
    ("gsub", Builtin::Gsub, 2, 3),
    ("index", Builtin::Index, 2, 2),
    ("int", Builtin::Int, 1, 1),
    ("isarray", Builtin::IsArray, 1, 1),
    ("length", Builtin::Length, 0, 1),
    ("log", Builtin::Log, 1, 1),
    ("lshift", Builtin::Lshift, 2, 2),
    ("match", Builtin::Match, 2, 3),
    ("mktime", Builtin::Mktime, 1, 2),
    ("or", Builtin::Or, 2, MANY),
    ("patsplit", Builtin::Patsplit, 2, 4),
    ("rand", Builtin::Rand, 0, 0),
    ("rshift", Builtin::Rshift, 2, 2),
    ("sin", Builtin::Sin, 1, 1),
    ("split", Builtin::Split, 2, 4),
    ("sprintf", Builtin::Sprintf, 1, MANY),
    ("sqrt", Builtin::Sqrt, 1, 1),
    ("srand", Builtin::Srand, 0, 1),
    ("strftime", Builtin::Strftime, 0, 3),
    ("strtonum", Builtin::Strtonum, 1, 1),
    ("sub", Builtin::Sub, 2, 3),
    ("substr", Builtin::Substr, 2, 3),
    ("system", Builtin::System, 1, 1),
    ("systime", Builtin::Systime, 0, 0),
    ("tolower", Builtin::Tolower, 1, 1),
    ("toupper", Builtin::Toupper, 1, 1),
    ("typeof", Builtin::Typeof, 1, 1),
    ("xor", Builtin::Xor, 2, MANY),
];
