//! Boots by the boot table alone.

use super::fake::{Deed, Fake, READY, boot, fake, program, served};
use super::*;
use std::string::ToString;
use std::vec::Vec;

#[test]
fn everybody_has_privileges_before_anybody_runs() {
    let (result, deeds) = boot(fake());
    assert_eq!(result, Ok(()));
    let (first, last) = (endpoint(0), endpoint(2));
    let kinds: Vec<_> = deeds
        .iter()
        .map(|deed| match *deed {
            Deed::Set { process, .. } => ("set", process),
            Deed::Updated { process, .. } => ("update", process),
            Deed::Allowed(process) => ("allow", process),
            other => panic!("{other:?}"),
        })
        .collect();
    let twice = |what| [(what, first), (what, last)];
    assert_eq!(kinds, [twice("set"), twice("update"), twice("allow")].concat());
}

#[test]
fn where_the_memory_server_loads_it_runs_first() {
    let (result, deeds) = boot(served());
    assert_eq!(result, Ok(()));
    let (vm, late) = (endpoint(0), endpoint(2));
    let expected =
        [Deed::Allowed(vm), Deed::Waited(vm), Deed::MayAsk { process: late, calls: 1 << 2 }, Deed::Allowed(late)];
    assert_eq!(deeds[4..], expected);
}

#[test]
fn without_its_memory_server_nobody_runs() {
    for (kind, step, place, most, text) in [
        (Allow::KIND, Step::Allow, 0, 4, "start program 0"),
        (READY, Step::Ready, 0, 5, "wait for program 0"),
        (SetCalls::KIND, Step::Memory, 2, 6, "set the memory calls of program 2"),
    ] {
        let (result, deeds) = boot(Fake { denies: Some((kind, Errno::DeadSrcDst)), ..served() });
        let failure = BootFailure { step, place, error: Errno::DeadSrcDst };
        assert_eq!((result, deeds.len()), (Err(failure), most));
        assert!(failure.to_string().contains(text), "{failure}");
    }
}

#[test]
fn privileges_are_those_of_the_table() {
    let (_, deeds) = boot(fake());
    let Deed::Set { id, spec, .. } = deeds[1] else { panic!("{deeds:?}") };
    assert_eq!(PrivilegeId::new(id), PrivilegeId::of_boot_program(2));
    let sends = [1, 2].map(|place| PrivilegeId::of_boot_program(place).expect("an id").bit());
    let plain = PrivilegeSpec {
        sends: sends[0] | sends[1],
        calls: 1 << 2,
        flags: PrivilegeFlags::PREEMPTIBLE.bits(),
        init_flags: 0,
        traps: TrapMask::SENDREC.bits(),
        manager: endpoint(1),
        backup: Endpoint::NONE,
        reserved: 0,
    };
    assert_eq!(spec, plain);
    assert_eq!(deeds[3], Deed::Updated { process: endpoint(2), spec: plain });
}

#[test]
fn the_memory_server_is_not_preempted() {
    let (_, deeds) = boot(fake());
    let Deed::Set { spec, .. } = deeds[0] else { panic!("{deeds:?}") };
    assert_eq!(PrivilegeFlags::from_bits(spec.flags), Some(PrivilegeFlags::PAGER));
}

#[test]
fn the_root_may_boot_alone() {
    let alone = Fake { programs: std::vec![program(0, BootFlags::ROOT)], ..Fake::default() };
    assert_eq!(boot(alone), (Ok(()), std::vec![]));
}

#[test]
fn a_call_that_fails_ends_the_boot_and_is_told() {
    for (kind, step, place, deeds_before, text) in [
        (WhoAmI::KIND, Step::Identify, 0, 0, "its own endpoint"),
        (GetBootPolicy::KIND, Step::Read, 0, 0, "read the policy of program 0"),
        (SetSys::KIND, Step::Give, 0, 0, "give privileges to program 0"),
        (UpdateSys::KIND, Step::Connect, 0, 2, "set the targets of program 0"),
        (Allow::KIND, Step::Allow, 0, 4, "start program 0"),
    ] {
        let (result, deeds) = boot(Fake { denies: Some((kind, Errno::CallDenied)), ..fake() });
        let failure = BootFailure { step, place, error: Errno::CallDenied };
        assert_eq!((result, deeds.len()), (Err(failure), deeds_before), "{step:?}");
        let told = failure.to_string();
        assert!(told.contains(text) && told.contains("ECALLDENIED"), "{told}");
    }
}

#[test]
fn more_programs_than_there_are_ids_are_refused() {
    let max = abi::boot::MAX_PROGRAMS;
    let mut programs: Vec<_> = (0..max).map(|place| program(place, BootFlags::empty())).collect();
    programs[0].flags = BootFlags::ROOT.bits();
    assert!(boot(Fake { programs: programs.clone(), ..Fake::default() }).0.is_ok());
    programs.push(BootPolicy { endpoint: endpoint(max), ..programs[1] });
    let (result, _) = boot(Fake { programs, ..Fake::default() });
    assert_eq!(result, Err(BootFailure { step: Step::Give, place: max as u64, error: Errno::Dom }));
}
