//! What is so after each event, whatever has happened.

use super::world::{Process, Shared, World};
use super::*;
use crate::service::{Phase, Service};
use abi::policy::{ServiceFlags, contains};
use protocol::privctl::Disallow;
use protocol::rs::Init;
use std::collections::BTreeSet;
use std::string::ToString;
use std::vec::Vec;

type Server<'w> = Root<&'w Shared, &'w Shared>;

/// Looks whether all is in order.
pub(crate) fn check(root: &Server<'_>, world: &World) {
    each_service_has_what_its_phase_says(root, world);
    nothing_is_there_twice(root, world);
    every_process_is_somebodys(root, world);
    who_waits_is_known(root, world);
    the_table_is_shown(root, world);
    the_data_store_says_what_the_table_says(root, world);
    nobody_has_rights_beyond_its_policy(root, world);
}

fn each_service_has_what_its_phase_says(root: &Server<'_>, world: &World) {
    for service in root.services.iter() {
        let Service { label, phase, now, other, waiter, ready, .. } = service;
        let process = world.processes.get(&now.endpoint);
        if *phase == Phase::GivenUp {
            let is_kept = process.is_some_and(|it| world.kept_by_fault.contains(&it.program.serial));
            assert!(process.is_none() || is_kept, "{label} is given up and has a process");
            let may_be = !service.has(ServiceFlags::CORE) || root.work.shuts_down;
            assert!(may_be, "the system goes on without {label}");
        } else {
            let it = process.unwrap_or_else(|| panic!("{label} is {phase:?} and has no process"));
            assert_eq!(it.program.name, Some(now.program), "{label} is {phase:?}");
            assert_eq!(it.id, Some(service.id), "{label}");
            let serves = matches!(phase, Phase::Active | Phase::Preparing { .. });
            assert!(!serves || it.program.runs(), "{label} is {phase:?} and does not run");
        }
        if let Phase::Recovering { script, .. } = *phase {
            let script = root.services.named(script).and_then(|place| root.services.get(place));
            assert!(script.is_some_and(Service::has_process), "nobody decides about {label}");
        }
        let has_other = matches!(phase, Phase::Preparing { .. } | Phase::Starting { .. } | Phase::Ending { .. });
        assert!(other.is_none() || has_other, "{label} is {phase:?} and has {other:?}");
        if let Some(other) = other {
            let it = world.processes.get(&other.endpoint).unwrap_or_else(|| panic!("{label} has lost {other:?}"));
            assert_eq!(it.program.name, Some(other.program), "the other one of {label}, which is {phase:?}");
        }
        assert!(waiter.is_none() || !is_settled(*phase), "somebody waits for {label}, which is {phase:?}");
        let is_updated = matches!(phase, Phase::Starting { how: Init::LiveUpdate, .. } | Phase::Ending { .. });
        assert!(ready.is_none() || is_updated, "{label} is {phase:?} and said that it is ready");
    }
}

fn is_settled(phase: Phase) -> bool {
    matches!(phase, Phase::Active | Phase::Waiting { .. } | Phase::Recovering { .. } | Phase::GivenUp)
}

fn nothing_is_there_twice(root: &Server<'_>, world: &World) {
    let live = || root.services.iter().filter(|service| service.phase != Phase::GivenUp);
    let labels: Vec<_> = root.services.iter().map(|service| service.label.0).collect();
    let ids: Vec<_> = live().map(|service| service.id.index()).collect();
    let now = live().map(|service| service.now.endpoint);
    let endpoints: Vec<_> = now.chain(live().filter_map(|service| service.other).map(|other| other.endpoint)).collect();
    assert_eq!(labels.iter().collect::<BTreeSet<_>>().len(), labels.len(), "labels");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "privilege ids");
    assert_eq!(endpoints.iter().collect::<BTreeSet<_>>().len(), endpoints.len(), "endpoints");
    let all: Vec<_> = world.processes.values().filter_map(|it| it.id).map(PrivilegeId::index).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "privilege ids in the kernel");
}

/// Nothing leaks: a process is part of a service, or of the boot table and no service, or could not be ended.
fn every_process_is_somebodys(root: &Server<'_>, world: &World) {
    for (endpoint, it) in &world.processes {
        let is_part = root.services.named(*endpoint).or(root.services.with_other(*endpoint)).is_some();
        let is_no_service = *endpoint == world.root || world.users_of_table.contains(endpoint);
        let is_kept = world.kept_by_fault.contains(&it.program.serial);
        let is_early = root.policy.is_empty();
        assert!(is_part || is_no_service || is_kept || is_early, "{endpoint} is nobody's: {it:?} {:?}", world.log);
    }
    let has_failed = |kinds: &[Kind]| kinds.iter().any(|kind| world.failed.contains(kind));
    // At a shutdown those end, too, who would have to be told.
    if !root.work.shuts_down && !has_failed(&[protocol::pm::SrvExit::KIND, WillExit::KIND, Exit::KIND, Clear::KIND]) {
        for endpoint in world.memory.keys().chain(world.pids.keys()) {
            assert!(world.processes.contains_key(endpoint), "{endpoint} is no more, and has memory or a pid");
        }
    }
}

/// Whoever runs and waits for an answer will get one, and no answer is kept for somebody else.
fn who_waits_is_known(root: &Server<'_>, world: &World) {
    let waiting: Vec<_> = root
        .services
        .iter()
        .flat_map(|service| [service.waiter.map(|waiter| waiter.caller()), service.ready])
        .flatten()
        .collect();
    let tags: BTreeSet<_> = waiting.iter().map(|caller| caller.tag).collect();
    assert_eq!(tags.len(), waiting.len(), "one request is answered by two");
    // Who could not be stopped for good waits until it is ended.
    let some_go_on = world.failed.contains(&Disallow::KIND);
    for (endpoint, it) in &world.processes {
        if let Some(tag) = it.program.asks.filter(|_| it.program.runs()) {
            let is_lost = world.kept_by_fault.contains(&it.program.serial);
            assert!(tags.contains(&tag) || is_lost || some_go_on, "{endpoint} waits for ever: {it:?} {:?}", world.log);
        }
    }
    for service in root.services.iter() {
        if let Some(caller) = service.waiter.map(|waiter| waiter.caller()) {
            let it = world.processes.get(&caller.endpoint);
            let is_it = |it: &Process| !it.program.runs() || it.program.asks == Some(caller.tag);
            assert!(it.is_none_or(is_it), "{caller:?} waits no more for {}", service.label);
        }
    }
}

fn the_table_is_shown(root: &Server<'_>, world: &World) {
    if root.policy.is_empty() {
        return;
    }
    for place in 0..SERVICES {
        let service = root.services.get(place).filter(|service| service.phase != Phase::GivenUp);
        let entry = service.map_or(ServiceEntry::FREE, Service::entry);
        assert_eq!(world.shown.get(&place), Some(&entry), "place {place}");
    }
}

fn the_data_store_says_what_the_table_says(root: &Server<'_>, world: &World) {
    let is_there = root.services.active(Name::DS).is_some();
    let refused = [protocol::ds::Publish::KIND, protocol::ds::Delete::KIND];
    if root.has_news() || !root.work.is_up || !is_there || refused.iter().any(|kind| world.failed.contains(kind)) {
        return;
    }
    let live = root.services.iter().filter(|service| service.phase != Phase::GivenUp);
    let labels = live.map(|service| (service.label.text().to_string(), service.now.endpoint)).collect();
    assert_eq!(world.labels, labels, "{:?}", world.log);
}

/// A service may send to whom its policy names, and to nobody else.
fn nobody_has_rights_beyond_its_policy(root: &Server<'_>, world: &World) {
    if !root.work.is_up {
        return;
    }
    let has_failed = world.failed.contains(&UpdateSys::KIND);
    for service in root.services.iter().filter(|service| service.phase == Phase::Active) {
        let policy = root.policy.get(service.policy).expect("a policy");
        let has = world.processes[&service.now.endpoint].program.spec.sends;
        let others = root.services.iter().filter(|other| matches!(other.phase, Phase::Active));
        for other in others.filter(|other| other.label != service.label) {
            let (may, should) = (has & other.id.bit() != 0, contains(&policy.sends, other.policy));
            assert!(may == should || has_failed && !may, "{} sends to {}: {may}", service.label, other.label);
        }
        let to_users = policy.has(ServiceFlags::SENDS_TO_USERS);
        assert_eq!(has & PrivilegeId::USER.bit() != 0, to_users, "{} sends to users", service.label);
    }
}
