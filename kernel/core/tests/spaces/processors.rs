//! Several CPUs: who has what loaded, and what the others are asked for.

use super::{P, Server, Storage, done, home, run};
use abi::layout::USER_START;
use kernel_core::tables::{Access, Page};
use kernel_core::{CpuId, SpaceId};
use std::collections::BTreeMap;

fn cpu(number: usize) -> CpuId {
    CpuId::new(number).unwrap()
}

/// A CPU runs a process of a space, and remembers a page there.
fn run_on(server: &mut Server<'_>, number: usize, id: SpaceId) {
    let home = home(&mut server.spaces, &mut server.machine, id).unwrap();
    let root = server.spaces.enter(cpu(number), home).expect("it is not loaded yet");
    server.machine.memory.load(number, Some(root));
    let leaf_page = server.spaces.query(&server.machine, server.spaces.name(id), USER_START).unwrap();
    let rights = kernel_core::tables::Rights {
        access: leaf_page.access,
        withheld: false,
        cache: leaf_page.cache,
        backing: kernel_core::tables::Backing::Memory,
    };
    let frame = kernel_core::frames::FrameNumber::containing(leaf_page.frame).unwrap();
    server.machine.memory.remembered[number].pages = BTreeMap::from([(USER_START, Page { frame, rights })]);
}

/// Two spaces with two pages each, a process in each, and CPUs: 0 and 1 run the first, 2 the second, 3 nobody.
fn scene<'t>(storage: &'t mut Storage) -> (Server<'t>, [u64; 2]) {
    let mut server = Server::new(storage);
    let spaces = [server.space(3), server.space(3)];
    for space in spaces {
        let memory = server.idle(2);
        assert_eq!(server.map(&run(space, USER_START, memory, 2)), done(2));
        let id = server.spaces.find(space).unwrap();
        server.spaces.bind(id).unwrap();
    }
    for (number, space) in [(0, 0), (1, 0), (2, 1)] {
        let id = server.spaces.find(spaces[space]).unwrap();
        run_on(&mut server, number, id);
    }
    (server, spaces)
}

/// Which CPUs remember a page.
fn remembering(server: &Server<'_>) -> Vec<usize> {
    (0..4).filter(|&number| !server.machine.memory.remembered[number].pages.is_empty()).collect()
}

#[test]
fn what_is_taken_from_a_space_in_use_elsewhere_is_forgotten_there() {
    for here in 0..4 {
        for protect in [false, true] {
            let mut storage = Storage::new();
            let (mut server, [space, _]) = scene(&mut storage);
            server.on(here);
            assert_eq!(remembering(&server), [0, 1, 2]);
            let Server { spaces, machine, .. } = &mut server;
            match protect {
                false => assert_eq!(spaces.unmap(machine, space, USER_START, 1), Ok(1)),
                true => assert_eq!(spaces.protect(machine, space, USER_START, 1, Access::Read), Ok(1)),
            }
            assert_eq!(remembering(&server), [2], "those of the other space remember");
            // This CPU forgets and stays; the others leave, and load it again before they run there.
            for number in 0..2 {
                let stays = server.spaces.loaded(cpu(number)).is_some();
                assert_eq!(stays, number == here);
                assert_eq!(server.machine.memory.loaded[number].is_some(), stays);
            }
        }
    }
}

#[test]
fn a_new_page_disturbs_nobody() {
    let mut storage = Storage::new();
    let (mut server, [space, _]) = scene(&mut storage);
    let memory = server.idle(1);
    assert_eq!(server.map(&run(space, USER_START + 8 * P, memory, 1)), done(1));
    assert_eq!(remembering(&server), [0, 1, 2]);
}

#[test]
fn a_space_is_left_by_all_before_its_tables_go() {
    for here in 0..4 {
        let mut storage = Storage::new();
        let (mut server, [space, _]) = scene(&mut storage);
        let id = server.spaces.find(space).unwrap();
        server.on(here);
        server.spaces.unbind(&mut server.machine, id);
        while server.spaces.sweep(&mut server.machine) {}
        assert_eq!(remembering(&server), [0, 1, 2], "the server's spaces do not end by themselves");
        assert_eq!(server.spaces.destroy(&mut server.machine, space), Ok(true));
        assert_eq!(remembering(&server), [2]);
        assert!(server.machine.memory.loaded[..2].iter().all(Option::is_none));
    }
}

#[test]
fn a_space_is_loaded_once_and_left_when_there_is_nothing_to_run() {
    let mut storage = Storage::new();
    let (mut server, [space, other]) = scene(&mut storage);
    let [here, there] = [space, other].map(|name| {
        let id = server.spaces.find(name).unwrap();
        home(&mut server.spaces, &mut server.machine, id).unwrap()
    });
    assert_eq!(server.spaces.enter(cpu(0), here), None);
    assert_eq!(server.spaces.enter(cpu(0), there), Some(there.root()));
    assert_eq!(server.spaces.enter(cpu(0), here), Some(here.root()));
    assert!(server.spaces.idle(cpu(0)));
    assert!(!server.spaces.idle(cpu(0)));
    assert_eq!(server.spaces.enter(cpu(0), here), Some(here.root()));
}
