//! Blocks that include others.

use crate::block::Block;
use crate::fault::{Faults, shown};
use crate::names::RESERVED;
use crate::settings::{Settings, unknown};
use abi::boot::{BootEntry, NAME_LEN};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Most classes that include each other in a row.
pub const MAX_LEVELS: usize = 100;

/// A block with all that its classes say.
#[derive(Debug)]
pub(crate) struct Resolved<'b> {
    pub(crate) name: &'b str,
    pub(crate) at: usize,
    pub(crate) is_class: bool,
    pub(crate) settings: Settings,
}

/// Checks the names of all blocks: they can be names, and differ.
pub(crate) fn names(blocks: &[Block<'_>], faults: &mut Faults) {
    for (i, block) in blocks.iter().enumerate() {
        let name = block.name.text;
        if block.name.quoted || BootEntry::encode_name(name).is_none() {
            let rule = format!("1 to {} of a-z 0-9 - _", NAME_LEN - 1);
            faults.add(block.name.at, format!("`{}` is no name of a service: it has {rule}", shown(name)));
        } else if RESERVED.contains(&name) {
            faults.add(block.name.at, format!("`{name}` is reserved: call the service otherwise"));
        } else if blocks[..i].iter().any(|other| other.name.text == name) {
            faults.add(block.name.at, format!("there is a block `{name}` before this one: names must differ"));
        }
    }
}

/// What each block says, together with its classes, in the order of the text. What it says itself is given.
pub(crate) fn resolve<'b>(blocks: &'b [Block<'_>], own: Vec<Settings>, faults: &mut Faults) -> Vec<Resolved<'b>> {
    let classes = classes(blocks, &own, faults);
    let mut done: Vec<Option<(Settings, usize)>> = vec![None; blocks.len()];
    // Each round finishes at least one block: so all but those that include themselves.
    loop {
        let mut progress = false;
        for i in 0..blocks.len() {
            if done[i].is_none() && classes[i].iter().all(|(class, _)| done[*class].is_some()) {
                done[i] = Some(include(&own[i], &classes[i], &done, faults));
                progress = true;
            }
        }
        if !progress {
            break;
        }
    }
    report_cycles(blocks, &classes, &done, faults);
    let resolved = |(i, block): (usize, &'b Block<'_>)| Resolved {
        name: block.name.text,
        at: block.range.start,
        is_class: block.is_class,
        settings: done[i].take().map_or_else(|| own[i].clone(), |(settings, _)| settings),
    };
    blocks.iter().enumerate().map(resolved).collect()
}

/// For each block the classes that it includes, by their places, and where it says so.
fn classes(blocks: &[Block<'_>], own: &[Settings], faults: &mut Faults) -> Vec<Vec<(usize, usize)>> {
    let mut all = Vec::new();
    for settings in own {
        let mut found = Vec::new();
        for class in &settings.classes {
            match blocks.iter().position(|block| block.name.text == class.name) {
                Some(place) => found.push((place, class.at)),
                None => {
                    let known = blocks.iter().filter(|block| block.is_class).map(|block| block.name.text);
                    faults.add(class.at, unknown("class or service", &class.name, known));
                }
            }
        }
        all.push(found);
    }
    all
}

/// The settings of a block whose classes are done, and how many levels of classes there are below it.
fn include(
    own: &Settings,
    classes: &[(usize, usize)],
    done: &[Option<(Settings, usize)>],
    faults: &mut Faults,
) -> (Settings, usize) {
    let mut settings = own.clone();
    let mut levels = 0;
    // Of what two classes say, the later one counts, so that is looked at first.
    for (class, at) in classes.iter().rev() {
        let Some((class, below)) = &done[*class] else { continue };
        if *below == MAX_LEVELS {
            faults.add(*at, format!("more than {MAX_LEVELS} classes include each other here"));
        }
        settings.include(class);
        levels = levels.max(below + 1);
    }
    (settings, levels)
}

/// Blocks that are not done include themselves, or one that does.
fn report_cycles(
    blocks: &[Block<'_>],
    classes: &[Vec<(usize, usize)>],
    done: &[Option<(Settings, usize)>],
    faults: &mut Faults,
) {
    let mut told = vec![false; blocks.len()];
    for start in 0..blocks.len() {
        let mut path: Vec<usize> = Vec::new();
        let mut here = start;
        while done[here].is_none() && !told[here] && !path.contains(&here) {
            path.push(here);
            here = classes[here].iter().map(|(class, _)| *class).find(|class| done[*class].is_none()).unwrap_or(here);
        }
        let cycle = path.iter().position(|place| *place == here).map_or(&[][..], |first| &path[first..]);
        if let Some((_, at)) = cycle.first().and_then(|first| classes[*first].iter().find(|(c, _)| done[*c].is_none()))
        {
            let names: Vec<String> = cycle.iter().chain(&cycle[..1]).map(|i| shown(blocks[*i].name.text)).collect();
            faults.add(*at, format!("this block includes itself: {}", names.join(" -> ")));
        }
        path.iter().for_each(|place| told[*place] = true);
    }
}
