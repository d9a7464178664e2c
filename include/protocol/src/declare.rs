//! The macro that declares a protocol.

/// Declares a protocol: its name, its base number, and its calls. Stands in a module of its own.
///
/// ```
/// mod clock {
///     //! A clock on the wall.
///     protocol::protocol! {
///         clock = 0x7700;
///         /// Reads the time.
///         1 fn now(Now {}) -> Time { seconds: u64 };
///         /// Sets it; `EPERM` unless the caller may.
///         2 fn set(Set { seconds: u64 }) -> Done {};
///     }
/// }
/// assert_eq!(clock::PROTOCOL.calls[1].name, "clock.set");
/// ```
///
/// The module gets: the request and reply structs; `Server`, with one method for each call, so that a call without a
/// handler does not compile; `dispatch`; `Client`; and `PROTOCOL`, the table. Field types are what zerocopy can validate
/// and turn into bytes. These do not compile: a number given twice or out of order,
/// ```compile_fail,E0080
/// protocol::protocol! { twice = 0x7700; 1 fn a(A {}) -> RA {}; 1 fn b(B {}) -> RB {}; }
/// ```
/// a request or a reply that does not fit a message,
/// ```compile_fail,E0080
/// protocol::protocol! { long = 0x7700; 1 fn a(A { words: [u64; 8] }) -> RA {}; }
/// ```
/// ```compile_fail,E0080
/// protocol::protocol! { long_reply = 0x7700; 1 fn a(A {}) -> RA { words: [u64; 8] }; }
/// ```
/// a number that looks like a reply or like a notification,
/// ```compile_fail,E0080
/// protocol::protocol! { looks_like_a_reply = 0x8000; 1 fn a(A {}) -> RA {}; }
/// ```
/// ```compile_fail,E0080
/// protocol::protocol! { looks_like_a_notification = 0x0fff; 1 fn a(A {}) -> RA {}; }
/// ```
/// a struct with padding, which would carry bytes of its sender's memory (name the gap as a reserved field),
/// ```compile_fail,E0277
/// protocol::protocol! { padded = 0x7700; 1 fn a(A { small: u8, big: u64 }) -> RA {}; }
/// ```
/// and a server that lacks a call.
/// ```compile_fail,E0046
/// mod clock { protocol::protocol! { clock = 0x7700; 1 fn a(A {}) -> RA {}; } }
/// struct Idle;
/// impl clock::Server for Idle {}
/// ```
#[macro_export]
macro_rules! protocol {
    ($name:ident = $base:literal; $(
        $(#[doc = $doc:literal])* $number:literal fn $method:ident(
            $Request:ident { $($(#[doc = $fdoc:literal])* $field:ident: $ftype:ty),* $(,)? }
        ) -> $Reply:ident { $($(#[doc = $rdoc:literal])* $rfield:ident: $rtype:ty),* $(,)? };
    )+) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Copy, Debug, PartialEq, $crate::zerocopy::TryFromBytes, $crate::zerocopy::IntoBytes,
                $crate::zerocopy::KnownLayout, $crate::zerocopy::Immutable)]
            #[repr(C)]
            #[allow(missing_docs)] // Fields may say all by their names.
            pub struct $Request { $($(#[doc = $fdoc])* pub $field: $ftype),* }

            #[doc = concat!("What [`", stringify!($Request), "`] is answered with.")]
            #[derive(Clone, Copy, Debug, PartialEq, $crate::zerocopy::TryFromBytes, $crate::zerocopy::IntoBytes,
                $crate::zerocopy::KnownLayout, $crate::zerocopy::Immutable)]
            #[repr(C)]
            #[allow(missing_docs)] // Fields may say all by their names.
            pub struct $Reply { $($(#[doc = $rdoc])* pub $rfield: $rtype),* }

            impl $crate::Call for $Request {
                type Reply = $Reply;
                const KIND: ::abi::Kind = ::abi::Kind($base + $number);
                const NAME: &'static str = concat!(stringify!($name), ".", stringify!($method));
            }
            const _: () = <$Request as $crate::Call>::FITS;
        )+

        /// Every call, for call masks, tracing and the manual.
        pub const PROTOCOL: $crate::Protocol = $crate::Protocol {
            name: stringify!($name),
            base: $base,
            calls: &[$($crate::CallInfo {
                number: $number,
                name: <$Request as $crate::Call>::NAME,
                request: concat!($(stringify!($field), ": ", stringify!($ftype), ", ",)*),
                reply: concat!($(stringify!($rfield), ": ", stringify!($rtype), ", ",)*),
                request_type: stringify!($Request),
                request_fields: &[$($crate::FieldInfo {
                    name: stringify!($field),
                    field_type: stringify!($ftype),
                    doc: concat!($($fdoc, "\n",)*),
                }),*],
                reply_type: stringify!($Reply),
                reply_fields: &[$($crate::FieldInfo {
                    name: stringify!($rfield),
                    field_type: stringify!($rtype),
                    doc: concat!($($rdoc, "\n",)*),
                }),*],
                request_len: size_of::<$Request>(),
                reply_len: size_of::<$Reply>(),
                doc: concat!($($doc, "\n",)*),
            }),+],
        };
        const _: () = $crate::assert_ascending(PROTOCOL.calls);

        /// What a server implements: one method for each call. `from` is what a later answer must name.
        pub trait Server {
            $($(#[doc = $doc])* fn $method(&mut self, from: $crate::Caller, call: $Request) -> $crate::Answer<$Reply>;)+
        }

        /// Decodes a request, calls the one right method and encodes its answer; `None` means that the server
        /// answers later. A request that is unknown or malformed is answered here.
        #[inline]
        pub fn dispatch(server: &mut impl Server, request: &::abi::Message) -> Option<::abi::Message> {
            let mut message = *request;
            answer(server, &mut message).then_some(message)
        }

        /// The same with the answer in the place of the request: whether there is one.
        #[inline]
        pub fn answer(server: &mut impl Server, message: &mut ::abi::Message) -> bool {
            let from = $crate::Caller::from(&*message);
            let kind = match message.kind {
                $(<$Request as $crate::Call>::KIND => {
                    $crate::handle(server, &mut message.body, |server, call: $Request| server.$method(from, call))
                })+
                _ => Some(::abi::Kind::failed(::abi::Errno::NoSys)),
            };
            let Some(kind) = kind else {
                return false;
            };
            message.kind = kind;
            if kind != ::abi::Kind::OK {
                message.body = [0; ::abi::BODY_WORDS];
            }
            true
        }

        /// The same for a server of many calls, with a payload that stands anywhere: returns the kind of the answer, and leaves
        /// the payload of a failure alone.
        #[inline(always)]
        pub fn dispatch_in<S: Server>(
            server: &mut S,
            payload: &mut impl $crate::Place<S>,
            from: $crate::Caller,
            kind: ::abi::Kind,
        ) -> Option<::abi::Kind> {
            match kind {
                $(<$Request as $crate::Call>::KIND => {
                    $crate::handle_apart(server, payload, |server, call: $Request| server.$method(from, call))
                })+
                _ => Some(::abi::Kind::failed(::abi::Errno::NoSys)),
            }
        }

        /// Makes the calls, one method each.
        #[derive(Debug)]
        pub struct Client<T> {
            /// The server.
            pub to: ::abi::Endpoint,
            /// What carries the messages.
            pub transport: T,
        }

        impl<T: $crate::Transport> Client<T> {
            $(
                $(#[doc = $doc])*
                ///
                /// # Errors
                /// See [`call`]($crate::call()).
                #[inline]
                pub fn $method(&mut self, call: $Request) -> Result<$Reply, ::abi::Errno> {
                    $crate::call(&mut self.transport, self.to, &call)
                }
            )+
        }
    };
}
