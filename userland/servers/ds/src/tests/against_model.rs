//! Random calls against a simple model, with restarts between them.

use super::*;
use crate::{Name, Pattern};
use proptest::prelude::*;

/// What a model knows of an entry.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    owner: String,
    flags: Flags,
    value: Vec<u8>,
}

/// Everything, in the simplest form there is.
#[derive(Debug, Default)]
struct Model {
    labels: BTreeMap<String, Endpoint>,
    entries: BTreeMap<(u32, String), Known>,
    /// Pattern, and what was not told.
    subscriptions: BTreeMap<String, (String, Vec<(u32, String)>)>,
}

impl Model {
    fn label_of(&self, endpoint: Endpoint) -> Option<String> {
        self.labels.iter().find(|(_, known)| **known == endpoint).map(|(label, _)| label.clone())
    }

    fn tell(&mut self, what: &(u32, String), owner: &str, flags: Flags, is_there: bool) {
        for (subscriber, (pattern, told)) in &mut self.subscriptions {
            told.retain(|other| other != what);
            let sees = !flags.contains(Flags::PRIVATE_SUBSCRIBE) || subscriber == owner;
            if is_there && sees && Pattern::new(Name::new(pattern.as_bytes()).unwrap()).unwrap().fits(what.1.as_bytes())
            {
                told.push(what.clone());
            }
        }
    }

    fn publish(&mut self, from: Endpoint, what: &(u32, String), flags: Flags, value: &[u8]) -> Result<(), Errno> {
        let owner = self.label_of(from).ok_or(Errno::Perm)?;
        match self.entries.get(what) {
            Some(_) if !flags.contains(Flags::OVERWRITE) => return Err(Errno::Exist),
            Some(known) if known.owner != owner && known.flags.contains(Flags::PRIVATE_OVERWRITE) => {
                return Err(Errno::Perm);
            }
            _ => {}
        }
        let flags = flags - Flags::OVERWRITE;
        self.entries.insert(what.clone(), Known { owner: owner.clone(), flags, value: value.to_vec() });
        self.tell(what, &owner, flags, true);
        Ok(())
    }

    fn retrieve(&self, from: Endpoint, what: &(u32, String)) -> Result<Vec<u8>, Errno> {
        let known = self.entries.get(what).ok_or(Errno::Srch)?;
        let may = !known.flags.contains(Flags::PRIVATE_RETRIEVE) || self.labels.get(&known.owner) == Some(&from);
        if may { Ok(known.value.clone()) } else { Err(Errno::Perm) }
    }

    fn delete(&mut self, from: Endpoint, what: &(u32, String)) -> Result<(), Errno> {
        let owner = self.label_of(from).ok_or(Errno::Perm)?;
        let known = self.entries.get(what).ok_or(Errno::Srch)?;
        if known.owner != owner {
            return Err(Errno::Perm);
        }
        self.forget(what);
        Ok(())
    }

    fn forget(&mut self, what: &(u32, String)) {
        self.entries.remove(what);
        self.tell(what, "", PLAIN, false);
    }

    fn delete_label(&mut self, label: &str) -> Result<(), Errno> {
        self.labels.remove(label).ok_or(Errno::Srch)?;
        self.subscriptions.remove(label);
        let owned: Vec<_> =
            self.entries.iter().filter(|(_, known)| known.owner == label).map(|(what, _)| what.clone()).collect();
        owned.iter().for_each(|what| self.forget(what));
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Publish { who: u8, what: (u8, u8), flags: u8, value: u8 },
    Retrieve { who: u8, what: (u8, u8) },
    Delete { who: u8, what: (u8, u8) },
    Subscribe { who: u8, pattern: u8 },
    Check { who: u8 },
    DeleteLabel { who: u8 },
    SetLabel { who: u8 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let (who, what) = (0..3_u8, (0..2_u8, 0..6_u8));
    prop_oneof![
        8 => (who.clone(), what.clone(), 0..16_u8, any::<u8>())
            .prop_map(|(who, what, flags, value)| Step::Publish { who, what, flags, value }),
        3 => (who.clone(), what.clone()).prop_map(|(who, what)| Step::Retrieve { who, what }),
        3 => (who.clone(), what).prop_map(|(who, what)| Step::Delete { who, what }),
        2 => (who.clone(), 0..4_u8).prop_map(|(who, pattern)| Step::Subscribe { who, pattern }),
        4 => who.clone().prop_map(|who| Step::Check { who }),
        1 => who.clone().prop_map(|who| Step::DeleteLabel { who }),
        2 => who.prop_map(|who| Step::SetLabel { who }),
        1 => Just(Step::Restart),
    ]
}

const WHO: [Endpoint; 3] = [A, B, C];
const LABELS: [&str; 3] = ["a", "b", "c"];
const PATTERNS: [&str; 4] = ["k.*", "k[0-2]", "k3|k4", ".*5"];

fn kind(number: u8) -> EntryKind {
    if number == 0 { EntryKind::Number } else { EntryKind::Bytes }
}

fn named((number, key): (u8, u8)) -> (u32, String) {
    (kind(number) as u32, format!("k{key}"))
}

fn flags(number: u8) -> Flags {
    let all = [Flags::PRIVATE_RETRIEVE, Flags::PRIVATE_OVERWRITE, Flags::PRIVATE_SUBSCRIBE];
    let some = all.into_iter().enumerate().filter(|(bit, _)| number >> bit & 1 != 0).map(|(_, flag)| flag);
    // Most publications replace what is there.
    some.collect::<Flags>() | if number < 13 { Flags::OVERWRITE } else { PLAIN }
}

/// Makes a step in both worlds.
fn make(world: &mut World<'_>, model: &mut Model, step: &Step) {
    match *step {
        Step::Publish { who, what, flags: number, value } => {
            let (from, named, flags) = (WHO[usize::from(who)], named(what), flags(number));
            if kind(what.0) == EntryKind::Number {
                let expected = model.publish(from, &named, flags, &[value]);
                let done = world.publish(from, &named.1, EntryKind::Number, flags, (0, value.into()));
                assert_eq!(done, expected, "{step:?}");
            } else {
                let bytes = vec![value; usize::from(value) + 1];
                assert_eq!(world.bytes(from, &named.1, &bytes, flags), model.publish(from, &named, flags, &bytes));
            }
        }
        Step::Retrieve { who, what } => {
            let (from, named) = (WHO[usize::from(who)], named(what));
            let found = match kind(what.0) {
                EntryKind::Number => world.get(from, &named.1).map(|value| vec![value as u8]),
                kind => world.get_bytes(from, &named.1, kind, 300).map(|(bytes, _)| bytes),
            };
            assert_eq!(found, model.retrieve(from, &named), "{step:?}");
        }
        Step::Delete { who, what } => {
            let (from, named) = (WHO[usize::from(who)], named(what));
            assert_eq!(world.delete(from, &named.1, kind(what.0)), model.delete(from, &named), "{step:?}");
        }
        Step::Subscribe { who, pattern } => {
            let (who, pattern) = (usize::from(who), PATTERNS[usize::from(pattern)]);
            let done = world.subscribe_to(WHO[who], pattern, Kinds::empty(), SubscribeFlags::OVERWRITE);
            let is_known = model.labels.contains_key(LABELS[who]);
            assert_eq!(done, if is_known { Ok(()) } else { Err(Errno::Srch) });
            if is_known {
                model.subscriptions.insert(LABELS[who].into(), (pattern.into(), vec![]));
            }
        }
        Step::Check { who } => {
            let who = usize::from(who);
            let expected = model.subscriptions.get_mut(LABELS[who]).map(|(_, told)| told).ok_or(Errno::Srch);
            match (world.check(WHO[who]), expected) {
                (Ok((key, kind)), Ok(told)) => {
                    let at = told.iter().position(|what| *what == (kind as u32, key.clone()));
                    told.remove(at.unwrap_or_else(|| panic!("{key} is not new")));
                }
                (Err(Errno::NoEnt), Ok(told)) => assert!(told.is_empty(), "{told:?}"),
                (Err(error), expected) => assert_eq!(Err(error), expected.map(drop)),
                (Ok(told), Err(_)) => panic!("{told:?}"),
            }
        }
        Step::DeleteLabel { who } => {
            let label = LABELS[usize::from(who)];
            assert_eq!(world.delete(RS, label, EntryKind::Label), model.delete_label(label));
        }
        Step::SetLabel { who } => {
            let who = usize::from(who);
            world.label(LABELS[who], WHO[who]).unwrap();
            model.labels.insert(LABELS[who].into(), WHO[who]);
        }
        Step::Restart => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("SELIX_SOAK").is_some() { 5000 } else { 100 }))]

    #[test]
    fn it_does_what_the_model_does_also_after_restarts(
        steps in proptest::collection::vec(step(), 1..150),
        paper in prop_oneof![Just(PAPER), Just(2 * (16 << 10) / 8)],
    ) {
        let (mut ground, mut model) = (Ground::new(SMALL), Model::default());
        let labels: Vec<_> = (0..3).map(|who| Step::SetLabel { who }).collect();
        let mut words = None;
        for steps in steps.split(|step| matches!(step, Step::Restart)) {
            let mut world = match words {
                None => ground.fresh(paper),
                Some(words) => ground.successor(&Vec::<u64>::from(words)).unwrap(),
            };
            labels.iter().chain(steps).for_each(|step| make(&mut world, &mut model, step));
            words = Some(world.ds.journal.words().words.clone());
        }
    }
}
