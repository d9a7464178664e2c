//! Who may wait for whom: there must be no cycle.
//!
//! A service waits for another when it sends by SEND or SENDREC. Besides, everybody waits for the memory server when a page is missing.
//! What is sent to the root system process does not count: a service asks it who it is before it serves anybody, tells it that it is ready
//! when the root system process waits for that, and gets its answers at once. So the root system process may call the others.

use crate::fault::Faults;
use crate::names::Type;
use abi::policy::MAX_SERVICES;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

/// A service, and whom it may wait for.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Type,
    /// Where its block begins.
    pub(crate) at: usize,
    /// The places of those, and where its block names them.
    pub(crate) targets: Vec<(usize, usize)>,
}

/// Places, a bit each.
type Set = u128;
const _: () = assert!(MAX_SERVICES <= Set::BITS as usize);

/// Reports each set of services that may wait for each other, with a shortest way round.
pub(crate) fn check(nodes: &[Node<'_>], faults: &mut Faults) {
    let next: Vec<Set> = (0..nodes.len()).map(|i| waits_for(nodes, i)).collect();
    let reached = reached(&next);
    let mut told: Set = 0;
    for start in 0..nodes.len() {
        let bit = 1 << start;
        if reached[start] & bit == 0 || told & bit != 0 {
            continue;
        }
        for (other, reached_by_other) in reached.iter().enumerate() {
            if reached[start] >> other & 1 != 0 && reached_by_other & bit != 0 {
                told |= 1 << other;
            }
        }
        report(nodes, &way_back(&next, start), faults);
    }
}

fn waits_for(nodes: &[Node<'_>], i: usize) -> Set {
    let named = nodes[i].targets.iter().map(|(place, _)| *place).filter(|place| nodes[*place].kind != Type::Root);
    let pager = nodes.iter().position(|node| node.kind == Type::Pager).filter(|pager| *pager != i);
    named.chain(pager).fold(0, |set, place| set | 1 << place)
}

/// Whom each one waits for at the end of all chains.
fn reached(next: &[Set]) -> Vec<Set> {
    let mut reached = next.to_vec();
    for through in 0..next.len() {
        let further = reached[through];
        for set in &mut reached {
            if *set >> through & 1 != 0 {
                *set |= further;
            }
        }
    }
    reached
}

/// A shortest way from a place back to it, with that at both ends.
fn way_back(next: &[Set], start: usize) -> Vec<usize> {
    let mut came_from = vec![None; next.len()];
    let mut queue = vec![start];
    let mut head = 0;
    while let Some(&here) = queue.get(head) {
        head += 1;
        for to in (0..next.len()).filter(|to| next[here] >> to & 1 != 0) {
            if to == start {
                let mut way = vec![start, here];
                while let Some(before) = came_from[*way.last().unwrap_or(&start)].filter(|_| way.last() != Some(&start))
                {
                    way.push(before);
                }
                way.reverse();
                return way;
            }
            if came_from[to].is_none() {
                came_from[to] = Some(here);
                queue.push(to);
            }
        }
    }
    vec![start]
}

fn report(nodes: &[Node<'_>], way: &[usize], faults: &mut Faults) {
    let named = |pair: &[usize]| match pair {
        [from, to] => nodes[*from].targets.iter().find(|(place, _)| place == to).map(|(_, at)| *at),
        _ => None,
    };
    let at = way.windows(2).find_map(named).unwrap_or_else(|| nodes[way[0]].at);
    let names: Vec<&str> = way.iter().map(|place| nodes[*place].name).collect();
    let memory = way.iter().any(|place| nodes[*place].kind == Type::Pager);
    let hint = if memory { " (everybody waits for the memory server when a page is missing)" } else { "" };
    faults.add(
        at,
        format!(
            "these services may wait for each other for ever: {}{hint}. Take a name out of `ipc`, \
             or `send` and `sendrec` out of `traps`",
            names.join(" -> ")
        ),
    );
}
