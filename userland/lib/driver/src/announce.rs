//! "I am up": what lets clients of a driver go on after its death.

use abi::{Endpoint, Errno};
use protocol::Transport;
use protocol::ds::{self, EntryKind, Flags, Key, Publish, RetrieveLabel};
use protocol::statectl::ClearRefs;

/// What a driver drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Character devices.
    Character,
    /// Block devices.
    Block,
    /// Network cards.
    Network,
}

impl Kind {
    /// What the keys begin with by which such drivers are known.
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Character => b"drv.chr.",
            Self::Block => b"drv.blk.",
            Self::Network => b"drv.net.",
        }
    }

    /// The key of a driver with this label.
    fn key(self, label: &[u8]) -> Option<Key> {
        let mut text = [0; ds::INLINE_KEY as usize];
        let len = self.prefix().len() + label.len();
        let (first, rest) = text.get_mut(..len)?.split_at_mut(self.prefix().len());
        first.copy_from_slice(self.prefix());
        rest.copy_from_slice(label);
        Key::new(&text[..len])
    }
}

/// Says that a driver is up: at the end of its beginning, for the first time or after a crash, but not after a live update, of which clients notice
/// nothing. Whoever waits for the instance before it is released with `EDEADSRCDST`; then the data store gets the key `drv.KIND.LABEL`
/// with the number 1, and tells those who want to know.
///
/// # Errors
/// Those of the kernel and of the data store: it should end then, and be restarted.
pub fn announce(kind: Kind, me: Endpoint, store: Endpoint) -> Result<(), Errno> {
    sys::statectl().clear_ipc_refs(ClearRefs {})?;
    announce_at(&mut ds::Client { to: store, transport: sys::Ipc::default() }, kind, me)
}

fn announce_at<T: Transport>(store: &mut ds::Client<T>, kind: Kind, me: Endpoint) -> Result<(), Errno> {
    let grant = abi::grant::GrantId::INVALID;
    let label = store.retrieve_label(RetrieveLabel { endpoint: me, reserved: 0, grant })?.label;
    let key = label.text().and_then(|label| kind.key(label)).ok_or(Errno::TooBig)?;
    let flags = Flags::OVERWRITE.bits();
    store.publish(Publish { key, kind: EntryKind::Number, flags, len: 0, value: 1 }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_what_is_driven_and_by_whom() {
        let key = |kind: Kind, label: &str| kind.key(label.as_bytes()).and_then(|key| key.text().map(<[u8]>::len));
        assert_eq!(Kind::Character.key(b"hello"), Key::new(b"drv.chr.hello"));
        assert_eq!(Kind::Block.key(b"d0"), Key::new(b"drv.blk.d0"));
        assert_eq!(key(Kind::Network, "fifteen-letters"), Some(23));
        assert_eq!(key(Kind::Network, "this is far too long for a label"), None);
    }
}
