//! Filters: what a process does not want to receive for the time being.

use crate::kit::{called, obedient, order, order_call, perform, received, registers, result, settle};
use abi::filter::{FilterElement, FilterFlags, MAX_FILTER_ELEMENTS};
use abi::{Endpoint, Errno, Kind, Message, Trap};
use family::{Board, Child, Page, fault};
use protocol::statectl::{AddBlacklist, AddWhitelist, ClearFilters};
use protocol::vmctl::AnswerRequest;
use suite::{Outcome, check_eq};
use zerocopy::IntoBytes;

/// Where the elements lie for the child.
const ELEMENTS: u64 = Page::BOARD.address() + 8 * Board::FREE as u64;

fn put(child: &Child, index: usize, element: FilterElement) {
    let (words, _) = element.as_bytes().as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        child.board().set(Board::FREE + 2 * index + i, u64::from_le_bytes(*word));
    }
}

fn receive(child: &Child) -> Outcome {
    order(child, registers(Trap::Receive, &Message::new(Endpoint::NONE, Kind(0)), Endpoint::ANY))
}

pub(crate) fn what_is_filtered_waits() -> Outcome {
    let child = obedient(&["statectl"])?;
    let (first, second) = (obedient(&[])?, obedient(&[])?);
    put(&child, 0, FilterElement::from_source(first.endpoint));
    put(&child, 1, FilterElement::of_kind(crate::kit::KIND));
    called(&child, &AddBlacklist { address: ELEMENTS, count: 2 })??;
    perform(&first, Trap::Notify, child.endpoint, Endpoint::NONE)?;
    perform(&second, Trap::Send, child.endpoint, Endpoint::NONE)?;
    receive(&child)?;
    // It waits all the same, until something comes that it wants.
    check_eq!(child.board().get(Board::COUNT), 1);
    rt::notify(child.endpoint)?;
    settle()?;
    check_eq!((result(&child), received(&child).peer), (Ok(0), family::me()?));
    // The first one may come again, then everybody.
    called(&child, &AddWhitelist { address: ELEMENTS, count: 1 })??;
    receive(&child)?;
    check_eq!(received(&child).peer, first.endpoint);
    called(&child, &ClearFilters {})??;
    receive(&child)?;
    check_eq!(received(&child), crate::kit::message_from(&second));
    for child in [child, first, second] {
        child.end()?;
    }
    Ok(())
}

pub(crate) fn filters_that_cannot_be() -> Outcome {
    let child = obedient(&["statectl"])?;
    let good = FilterElement::of_kind(Kind(1));
    let bad = [
        FilterElement { flags: 0, ..good },
        FilterElement { flags: FilterFlags::all().bits() + 1, ..good },
        FilterElement { reserved: [1; 6], ..good },
        FilterElement { source: 1, ..good },
        FilterElement::from_source(child.endpoint.next_generation()),
        FilterElement::from_source(Endpoint::NONE),
    ];
    put(&child, 0, good);
    for element in bad {
        put(&child, 1, element);
        check_eq!(called(&child, &AddBlacklist { address: ELEMENTS, count: 2 })?.err(), Some(Errno::Inval));
        check_eq!(called(&child, &AddWhitelist { address: ELEMENTS, count: 2 })?.err(), Some(Errno::Inval));
    }
    for count in [0, MAX_FILTER_ELEMENTS as u64 + 1, u64::MAX] {
        check_eq!(called(&child, &AddBlacklist { address: ELEMENTS, count })?.err(), Some(Errno::TooBig));
    }
    order_call(&child, &AddBlacklist { address: 1 << 40, count: 1 })?;
    check_eq!(fault(&child)?.len, size_of::<FilterElement>() as u64);
    sys::vmctl().answer_request(AnswerRequest { process: child.endpoint, available: 0 })?;
    settle()?;
    check_eq!(result(&child), Err(Errno::Fault));
    // There is no filter: such a message comes.
    receive(&child)?;
    rt::send_nb(&Message::new(child.endpoint, Kind(1)))?;
    settle()?;
    check_eq!((result(&child), received(&child).kind), (Ok(0), Kind(1)));
    child.end()
}
