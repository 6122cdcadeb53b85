//! How far a condition is met: which operand has matched which event.

use crate::glob;
use crate::list::List;
use crate::machine::event::{first_value, split, Event, EventId};
use crate::spec::{Arg, Condition, Node, Operand};
use crate::text::Text;
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The operands of a condition that have matched, by their places in it, each with the event; most
/// of the time none has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matches(List<(u32, EventId)>);

impl Matches {
    /// Returns the event that the operand at a place has matched.
    pub fn event(&self, place: usize) -> Option<EventId> {
        self.0.iter().find(|(at, _)| *at as usize == place).map(|(_, event)| *event)
    }

    /// Notes the event that the operand at a place has matched.
    pub fn add(&mut self, place: usize, event: EventId) {
        self.remove(place);
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        let at = self.0.partition_point(|(other, _)| *other < place);
        self.0.edit().insert(at, (place, event));
    }

    /// Forgets what the operand at a place has matched.
    pub fn remove(&mut self, place: usize) {
        self.0.retain(|(at, _)| *at as usize != place);
    }

    /// Returns the events of all matched operands, in order, and forgets them.
    pub fn reset(&mut self) -> Vec<EventId> {
        self.0.take().into_iter().map(|(_, event)| event).collect()
    }

    /// Returns the events of all matched operands, in order.
    pub fn events(&self) -> impl Iterator<Item = EventId> + '_ {
        self.0.iter().map(|(_, event)| *event)
    }

    /// Reports whether any operand has matched.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

/// Reports whether an event matches an operand. Source: spec 5.1; a value that cannot be expanded
/// matches nothing.
pub fn operand_matches(
    operand: &Operand,
    event: &Event,
    expand: &dyn Fn(&Text) -> Option<Text>,
) -> bool {
    operand.event == event.name
        && operand.args.iter().enumerate().all(|(index, arg)| {
            let (found, pattern, wanted) = match arg {
                Arg::Positional(pattern) => {
                    let row = event.env.get(index);
                    (row.map(|row| split(row).map_or(row.bytes(), |row| row.1)), pattern, true)
                }
                Arg::Equal(key, pattern) => (first_value(&event.env, key.bytes()), pattern, true),
                Arg::NotEqual(key, pattern) => {
                    (first_value(&event.env, key.bytes()), pattern, false)
                }
            };
            match (found, expand(pattern)) {
                (Some(value), Some(pattern)) => glob::matches(pattern.bytes(), value) == wanted,
                (None, _) | (_, None) => false,
            }
        })
}

/// Returns the events of the operands that make the condition true, in the order in which they
/// stand; nothing where it is not true. Only operands below true operators count.
/// Source: spec 5.2.
pub fn contributors(condition: &Condition, matches: &Matches) -> Option<Vec<EventId>> {
    let mut truth = Vec::with_capacity(condition.nodes.len());
    let mut children: Vec<Option<(usize, usize)>> = Vec::with_capacity(condition.nodes.len());
    let mut stack: Vec<usize> = Vec::new();
    for (index, node) in condition.nodes.iter().enumerate() {
        let (value, pair) = match node {
            Node::Event(_) => (matches.event(index).is_some(), None),
            Node::And | Node::Or => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                let value = match node {
                    Node::And => truth[left] && truth[right],
                    Node::Or | Node::Event(_) => truth[left] || truth[right],
                };
                (value, Some((left, right)))
            }
        };
        truth.push(value);
        children.push(pair);
        stack.push(index);
    }
    let root = stack.pop()?;
    if !truth[root] {
        return None;
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        if !truth[node] {
            continue;
        }
        match children[node] {
            Some((left, right)) => open.extend([right, left]),
            None => found.extend(matches.event(node)),
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::EventName;
    use alloc::string::String;

    fn event(name: &str, env: &[&str]) -> Event {
        Event {
            name: EventName::try_from(name).unwrap(),
            env: env.iter().map(|row| Text::from(*row)).collect(),
            blockers: 0,
            waiters: Vec::new(),
            failed: false,
            offered: false,
            depth: 0,
            late: false,
            reports: None,
            cause: String::new(),
        }
    }

    fn operand(args: &[Arg]) -> Operand {
        Operand { event: EventName::try_from("e").unwrap(), args: args.to_vec() }
    }

    fn check(args: &[Arg], env: &[&str], expected: bool) {
        let as_is = |text: &Text| Some(text.clone());
        assert_eq!(operand_matches(&operand(args), &event("e", env), &as_is), expected, "{args:?}");
    }

    fn t(text: &str) -> Text {
        Text::from(text)
    }

    #[test]
    fn positional_arguments_compare_by_place_and_named_ones_by_name() {
        check(&[], &["A=1"], true);
        check(&[Arg::Positional(t("1"))], &["A=1"], true);
        check(&[Arg::Positional(t("2"))], &["A=1"], false);
        check(&[Arg::Positional(t("1")), Arg::Positional(t("2"))], &["A=1"], false);
        check(&[Arg::Positional(t("1")), Arg::Equal(t("B"), t("x*"))], &["A=1", "B=xyz"], true);
        check(&[Arg::Equal(t("B"), t("1"))], &["A=1", "B=1", "B=2"], true);
        check(&[Arg::Equal(t("B"), t("2"))], &["A=1", "B=1", "B=2"], false);
    }

    #[test]
    fn a_negated_argument_wants_the_variable_to_be_there() {
        check(&[Arg::NotEqual(t("N"), t("lo"))], &["N=eth0"], true);
        check(&[Arg::NotEqual(t("N"), t("lo"))], &["N=lo"], false);
        check(&[Arg::NotEqual(t("N"), t("lo"))], &[], false);
    }

    #[test]
    fn a_value_that_cannot_be_expanded_matches_nothing() {
        let never = |_: &Text| None;
        let operand = operand(&[Arg::Equal(t("A"), t("$B"))]);
        assert!(!operand_matches(&operand, &event("e", &["A=1"]), &never));
    }

    fn contributing(nodes: &str, matched: &str) -> String {
        let nodes: Vec<Node> = nodes
            .chars()
            .map(|c| match c {
                '&' => Node::And,
                '|' => Node::Or,
                name => Node::Event(Operand {
                    event: EventName::try_from(Text::from(String::from(name))).unwrap(),
                    args: Vec::new(),
                }),
            })
            .collect();
        let mut matches = Matches::default();
        for (place, node) in nodes.iter().enumerate() {
            let Node::Event(operand) = node else { continue };
            let name = |c: &char| operand.event.text().bytes() == [*c as u8];
            matched.chars().filter(name).for_each(|c| matches.add(place, EventId(c as u64)));
        }
        contributors(&Condition { nodes }, &matches).map_or(String::from("-"), |events| {
            events.iter().map(|event| char::from(event.0 as u8)).collect()
        })
    }

    #[test]
    fn only_operands_below_true_operators_contribute() {
        assert_eq!(contributing("ab&", "a"), "-");
        assert_eq!(contributing("ab&", "ab"), "ab");
        assert_eq!(contributing("abc|&", "abc"), "abc");
        assert_eq!(contributing("abc|&", "ac"), "ac");
        assert_eq!(contributing("ab&c|", "ac"), "c");
        assert_eq!(contributing("ab|c&", "bc"), "bc");
    }
}
