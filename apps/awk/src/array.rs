//! Associative arrays: a vector for the keys 0, 1, 2 … as far as they go without gaps, which is
//! what most programs index by, and a hash map in order of insertion for the others.

use indexmap::IndexMap;

use crate::number;
use crate::str::{FoldState, Str};
use crate::value::Value;

/// A subscript. A string that is how a small integer prints is that integer.
#[derive(Clone)]
pub enum Key {
    Int(usize),
    Str(Str),
}

impl Key {
    #[inline]
    pub fn from_bytes(bytes: &[u8]) -> Key {
        match canonical(bytes) {
            Some(n) => Key::Int(n),
            None => Key::Str(Str::new(bytes)),
        }
    }

    #[inline]
    pub fn from_num(n: f64) -> Option<Key> {
        let i = n as usize;
        (i as f64 == n && i < LIMIT).then_some(Key::Int(i))
    }
}

impl From<Str> for Key {
    #[inline]
    fn from(s: Str) -> Key {
        match canonical(s.as_bytes()) {
            Some(n) => Key::Int(n),
            None => Key::Str(s),
        }
    }
}

impl From<&str> for Key {
    fn from(s: &str) -> Key {
        Key::from_bytes(s.as_bytes())
    }
}

/// Integers below this are keys of their own kind; it has nine digits at most.
const LIMIT: usize = 1_000_000_000;

#[inline]
fn canonical(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] if bytes.len() <= 9 => {
            let mut n = 0usize;
            for b in bytes {
                if !b.is_ascii_digit() {
                    return None;
                }
                n = n * 10 + usize::from(b - b'0');
            }
            Some(n)
        }
        _ => None,
    }
}

fn int_str(n: usize) -> Str {
    let mut buf = [0; 20];
    let at = number::itoa(n as i64, &mut buf);
    Str::new(&buf[at..])
}

#[derive(Default)]
pub struct Array {
    /// Values of the keys 0 … len-1; `None` where there is none.
    dense: Vec<Option<Value>>,
    /// How many of `dense` there are.
    count: usize,
    /// All other keys. Invariant: none of them is an integer below `dense.len()`.
    map: IndexMap<Str, Value, FoldState>,
    /// How many keys of `map` are integers.
    sparse: usize,
}

impl Array {
    pub fn len(&self) -> usize {
        self.count + self.map.len()
    }

    #[inline]
    pub fn get(&self, key: &Key) -> Option<&Value> {
        match key {
            Key::Int(n) => match self.dense.get(*n) {
                Some(place) => place.as_ref(),
                None if self.sparse == 0 => None,
                None => self.map.get(&int_str(*n)),
            },
            Key::Str(s) => self.map.get(s),
        }
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.get(key).is_some()
    }

    /// The element, made if it is not there.
    #[inline]
    pub fn entry(&mut self, key: Key) -> &mut Value {
        match key {
            Key::Int(n) => {
                if n >= self.dense.len() && !self.extend(n) {
                    return self.sparse_entry(n);
                }
                let place = &mut self.dense[n];
                if place.is_none() {
                    self.count += 1;
                    *place = Some(Value::Uninit);
                }
                place.get_or_insert_default()
            }
            Key::Str(s) => self.map.entry(s).or_default(),
        }
    }

    /// Makes room in `dense` for key `n` if it continues the sequence.
    fn extend(&mut self, n: usize) -> bool {
        let len = self.dense.len();
        if n != len && !(len == 0 && n == 1) {
            return false;
        }
        if self.sparse > 0 && self.map.contains_key(&int_str(n)) {
            // Only for n == 1 first: key 1 was sparse because nothing preceded it.
            let value = self.map.swap_remove(&int_str(n));
            self.sparse -= 1;
            self.dense.resize(n, None);
            self.count += 1;
            self.dense.push(value);
        } else {
            self.dense.resize(n + 1, None);
        }
        // Key 0 and those that now continue the sequence move over.
        if self.sparse > 0 && len == 0 && n == 1 {
            self.adopt(0);
        }
        while self.sparse > 0 {
            let next = self.dense.len();
            let Some(value) = self.map.swap_remove(&int_str(next)) else {
                break;
            };
            self.sparse -= 1;
            self.count += 1;
            self.dense.push(Some(value));
        }
        true
    }

    fn adopt(&mut self, n: usize) {
        if let Some(value) = self.map.swap_remove(&int_str(n)) {
            self.sparse -= 1;
            self.count += 1;
            self.dense[n] = Some(value);
        }
    }

    fn sparse_entry(&mut self, n: usize) -> &mut Value {
        let entry = self.map.entry(int_str(n));
        if let indexmap::map::Entry::Vacant(_) = entry {
            self.sparse += 1;
        }
        entry.or_default()
    }

    #[inline]
    pub fn insert(&mut self, key: Key, value: Value) {
        *self.entry(key) = value;
    }

    pub fn remove(&mut self, key: &Key) {
        match key {
            Key::Int(n) if *n < self.dense.len() => {
                if self.dense[*n].take().is_some() {
                    self.count -= 1;
                    if self.count == 0 {
                        self.dense.clear();
                    }
                }
            }
            Key::Int(n) => {
                if self.sparse > 0 && self.map.swap_remove(&int_str(*n)).is_some() {
                    self.sparse -= 1;
                }
            }
            Key::Str(s) => {
                self.map.swap_remove(s);
            }
        }
    }

    pub fn clear(&mut self) {
        *self = Array::default();
    }

    pub fn iter(&self) -> impl Iterator<Item = (Str, &Value)> {
        let dense = self
            .dense
            .iter()
            .enumerate()
            .filter_map(|(i, v)| Some((int_str(i), v.as_ref()?)));
        dense.chain(self.map.iter().map(|(k, v)| (k.clone(), v)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(a: &Array) -> Vec<String> {
        let mut keys: Vec<String> = a.iter().map(|(k, _)| k.lossy().into_owned()).collect();
        keys.sort();
        keys
    }

    #[test]
    fn integers_and_their_text_are_one_key() {
        let mut a = Array::default();
        a.insert(Key::Int(1), Value::Num(5.0));
        assert_eq!(a.get(&Key::from("1")).map(Value::to_num), Some(5.0));
        assert!(!a.contains(&Key::from("01")));
    }

    #[test]
    fn every_order_of_insertion_and_removal_agrees_with_a_set() {
        let mut state = 1u64;
        for _ in 0..200 {
            let mut a = Array::default();
            let mut set = std::collections::BTreeSet::new();
            for _ in 0..60 {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                let n = (state >> 33) as usize % 12;
                if state >> 60 < 11 {
                    a.insert(Key::Int(n), Value::Num(n as f64));
                    set.insert(n.to_string());
                } else {
                    a.remove(&Key::Int(n));
                    set.remove(&n.to_string());
                }
                let mut expected: Vec<String> = set.iter().cloned().collect();
                expected.sort();
                assert_eq!(keys(&a), expected);
                assert_eq!(a.len(), set.len());
                for n in 0..12 {
                    assert_eq!(a.contains(&Key::Int(n)), set.contains(&n.to_string()));
                }
            }
        }
    }
}
