//! Regular expressions with POSIX leftmost-longest matching over `regex-automata`.
//!
//! The leftmost start of a match does not depend on which alternative is preferred, so the
//! general engine (with its literal prefilters) finds the start; where preference could matter,
//! an anchored lazy DFA built with `MatchKind::All` then runs to the longest end.

use std::cell::{OnceCell, RefCell};

use memchr::memmem;
use regex_automata::hybrid::dfa;
use regex_automata::meta;
use regex_automata::nfa::thompson;
use regex_automata::util::captures::Captures;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, HirKind, Look};

use crate::ere;

pub struct Regex {
    hir: Hir,
    /// A plain string: searched for as such.
    literal: Option<memmem::Finder<'static>>,
    /// A plain string after `^`.
    anchored: Option<Vec<u8>>,
    engine: meta::Regex,
    cache: RefCell<meta::Cache>,
    /// Present when leftmost-first could stop short of the longest match.
    longest: Option<Longest>,
    captures: OnceCell<Box<(meta::Regex, RefCell<Captures>)>>,
}

struct Longest {
    dfa: dfa::DFA,
    cache: RefCell<dfa::Cache>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Sensitive,
    Ignored,
}

fn thompson() -> thompson::Config {
    thompson::Config::new().utf8(false)
}

fn engine(hir: &Hir) -> Result<meta::Regex, String> {
    meta::Builder::new()
        .configure(meta::Config::new().utf8_empty(false))
        .build_from_hir(hir)
        .map_err(|e| e.to_string())
}

impl Regex {
    /// Compiles the text of an awk regular expression.
    pub fn new(pattern: &[u8], case: Case) -> Result<Regex, String> {
        let hir = ere::parse(pattern, case)?;
        let engine = engine(&hir)?;
        let cache = RefCell::new(engine.create_cache());
        let longest = if first_is_longest(&hir) {
            None
        } else {
            Some(Longest::new(&hir)?)
        };
        let literal = match hir.kind() {
            HirKind::Literal(lit) => Some(memmem::Finder::new(&lit.0).into_owned()),
            _ => None,
        };
        Ok(Regex {
            anchored: anchored_literal(&hir),
            hir,
            literal,
            engine,
            cache,
            longest,
            captures: OnceCell::new(),
        })
    }

    #[inline]
    pub fn is_match(&self, text: &[u8]) -> bool {
        if let Some(finder) = &self.literal {
            return finder.find(text).is_some();
        }
        if let Some(lit) = &self.anchored {
            return text.starts_with(lit);
        }
        let input = Input::new(text).earliest(true);
        self.engine
            .search_half_with(&mut self.cache.borrow_mut(), &input)
            .is_some()
    }

    /// The leftmost-longest match that starts at `from` or later.
    #[inline]
    pub fn find_at(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        if let Some(finder) = &self.literal {
            let at = finder.find(&text[from..])? + from;
            return Some((at, at + finder.needle().len()));
        }
        let input = Input::new(text).span(from..text.len());
        let found = self
            .engine
            .search_with(&mut self.cache.borrow_mut(), &input)?;
        let (start, end) = (found.start(), found.end());
        match &self.longest {
            Some(longest) if end < text.len() => Some((start, longest.end(text, start).max(end))),
            _ => Some((start, end)),
        }
    }

    /// The spans of the whole match (already found) and of each group.
    pub fn groups(&self, text: &[u8], start: usize, end: usize) -> Vec<Option<(usize, usize)>> {
        let pair = self.captures.get_or_init(|| {
            let whole = Hir::concat(vec![self.hir.clone(), Hir::look(Look::End)]);
            let re = engine(&whole).unwrap_or_else(|_| self.engine.clone());
            let caps = RefCell::new(re.create_captures());
            Box::new((re, caps))
        });
        let mut caps = pair.1.borrow_mut();
        let input = Input::new(&text[..end])
            .span(start..end)
            .anchored(Anchored::Yes);
        pair.0.search_captures(&input, &mut caps);
        let mut spans: Vec<_> = (0..caps.group_len())
            .map(|i| caps.get_group(i).map(|s| (s.start, s.end)))
            .collect();
        spans[0] = Some((start, end));
        spans
    }
}

impl Longest {
    fn new(hir: &Hir) -> Result<Longest, String> {
        let nfa = thompson::Compiler::new()
            .configure(thompson().which_captures(thompson::WhichCaptures::None))
            .build_from_hir(hir)
            .map_err(|e| e.to_string())?;
        let dfa = dfa::Builder::new()
            .configure(
                dfa::Config::new()
                    .match_kind(MatchKind::All)
                    .skip_cache_capacity_check(true),
            )
            .build_from_nfa(nfa)
            .map_err(|e| e.to_string())?;
        let cache = RefCell::new(dfa.create_cache());
        Ok(Longest { dfa, cache })
    }

    fn end(&self, text: &[u8], start: usize) -> usize {
        let input = Input::new(text)
            .span(start..text.len())
            .anchored(Anchored::Yes);
        // No quit bytes and no limit on cache clears are configured, so the search cannot fail;
        // a failure would mean "no longer match".
        self.dfa
            .try_search_fwd(&mut self.cache.borrow_mut(), &input)
            .ok()
            .flatten()
            .map_or(start, |half| half.offset())
    }
}

fn anchored_literal(hir: &Hir) -> Option<Vec<u8>> {
    if let HirKind::Concat(parts) = hir.kind()
        && let [first, second] = parts.as_slice()
        && let (HirKind::Look(Look::Start), HirKind::Literal(lit)) = (first.kind(), second.kind())
    {
        return Some(lit.0.to_vec());
    }
    None
}

/// Whether greedy leftmost-first matching surely gives the longest match: a sequence in which
/// nothing has a choice, but for at most one repetition of single characters.
fn first_is_longest(hir: &Hir) -> bool {
    fn fixed(hir: &Hir) -> bool {
        match hir.kind() {
            HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => true,
            HirKind::Capture(c) => fixed(&c.sub),
            HirKind::Concat(parts) => parts.iter().all(fixed),
            HirKind::Repetition(r) => Some(r.min) == r.max && fixed(&r.sub),
            HirKind::Alternation(_) => false,
        }
    }
    fn one_choice(hir: &Hir) -> bool {
        match hir.kind() {
            HirKind::Repetition(r) => {
                matches!(r.sub.kind(), HirKind::Class(_) | HirKind::Literal(_))
            }
            HirKind::Capture(c) => one_choice(&c.sub),
            _ => false,
        }
    }
    if fixed(hir) || one_choice(hir) {
        return true;
    }
    match hir.kind() {
        HirKind::Capture(c) => first_is_longest(&c.sub),
        HirKind::Concat(parts) => {
            let choices = parts.iter().filter(|p| !fixed(p)).count();
            choices == 1 && parts.iter().all(|p| fixed(p) || one_choice(p))
        }
        _ => false,
    }
}
