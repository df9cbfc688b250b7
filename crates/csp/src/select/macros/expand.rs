//! The second stage: from the list of arms to one `match`.
//!
//! An arm's variable changes its type on the way:
//!
//! 1. as evaluated: `(guard, &handle)`, or `(guard, event)`;
//! 2. bound: the `Option` of what is selected on, `None` if the arm is disabled; that of an event is
//!    pinned, so that it can be dropped in place;
//! 3. listed: its `internal::Handle`, with its number, if it is enabled.

/// Expands to the selection and the bodies.
#[doc(hidden)]
#[macro_export]
macro_rules! __weftwork_csp_select_expand {
    (
        $mode:tt
        {$(($i:tt $arm:ident $kind:ident $args:tt [$on:expr] ($pat:pat) $body:tt))*}
        $events:tt
        $limit:tt
    ) => {
        // A `match` keeps the temporaries of the handles until the body has ended. Those of a guard
        // end with its block: what it locked is not locked while we wait.
        match ($((
            { let on: bool = $on; on },
            $crate::__weftwork_csp_select_expand!(@evaluate $kind $args),
        ),)*) {
            ($($arm,)*) => {
                $($crate::__weftwork_csp_select_expand!(@bind $kind $arm);)*
                // Both are moved as a whole in every branch: the handles are free for the bodies.
                let (index, operation) = $crate::__weftwork_csp_select_expand!(
                    @choose $mode $limit {$($i $arm $kind)*}
                );
                match index {
                    $($i => {
                        let operation = operation.expect("an arm is chosen by an operation");
                        let result = $crate::__weftwork_csp_select_expand!(
                            @complete $kind $arm $args operation
                        );
                        $crate::__weftwork_csp_select_expand!(@release $events);
                        let $pat = result;
                        $body
                    })*
                    _ => {
                        ::core::mem::drop(operation);
                        $crate::__weftwork_csp_select_expand!(@release $events);
                        $crate::__weftwork_csp_select_expand!(@otherwise $limit)
                    }
                }
            }
        }
    };

    (@evaluate send ($handle:expr, $message:expr)) => { &$handle };
    (@evaluate event ($event:expr)) => { $event };
    (@evaluate $kind:ident ($handle:expr)) => { &$handle };

    // The methods of the traits find the handle behind any number of references, as `recv` itself
    // would. The traits are in scope here alone, where no token is the user's.
    (@bind recv $arm:ident) => {
        let $arm = if $arm.0 {
            use $crate::internal::ReceiverArm as _;
            $arm.1.select_receiver()
        } else {
            ::core::option::Option::None
        };
    };
    (@bind send $arm:ident) => {
        let $arm = if $arm.0 {
            use $crate::internal::SenderArm as _;
            $arm.1.select_sender()
        } else {
            ::core::option::Option::None
        };
    };
    (@bind closed $arm:ident) => {
        let $arm = if $arm.0 {
            use $crate::internal::ClosableArm as _;
            $arm.1.select_closed()
        } else {
            ::core::option::Option::None
        };
    };
    (@bind event $arm:ident) => {
        let mut $arm = ::core::pin::pin!(if $arm.0 {
            ::core::option::Option::Some($crate::internal::EventArm::new($arm.1))
        } else {
            ::core::option::Option::None
        });
    };

    // Waits. To `(number, Some(operation))`, or to `(usize::MAX, None)` if the limit was reached.
    (@choose [block $biased:tt] $limit:tt {$($i:tt $arm:ident $kind:ident)*}) => {{
        let mut list: [$crate::internal::Handle<'_>; <[usize]>::len(&[$($i),*])] =
            [($crate::internal::never_handle(), 0); <[usize]>::len(&[$($i),*])];
        let len = $crate::__weftwork_csp_select_expand!(@list list {$($i $arm $kind)*});
        $crate::__weftwork_csp_select_expand!(@block $limit list len $biased)
    }};
    // Whether anything is ready now is known without waiting.
    (@choose [async $biased:tt] (now $body:tt) $arms:tt) => {
        $crate::__weftwork_csp_select_expand!(@choose [block $biased] (now $body) $arms)
    };
    (@choose [async $biased:tt] $limit:tt {$($i:tt $arm:ident $kind:ident)*}) => {{
        let deadline = $crate::__weftwork_csp_select_expand!(@deadline $limit);
        // A list for each poll, so that none is kept between them: see promise 6 of the macros.
        let result = $crate::internal::select_async::<{ <[usize]>::len(&[$($i),*]) }, _>(
            |list| {
                let len = $crate::__weftwork_csp_select_expand!(@list list {$($i $arm $kind)*});
                if deadline.is_none() {
                    $crate::__weftwork_csp_select_expand!(@check len);
                }
                len
            },
            deadline,
            $biased,
        )
        .await;
        $crate::__weftwork_csp_select_expand!(@limited result)
    }};

    (@block () $list:ident $len:ident $biased:tt) => {{
        $crate::__weftwork_csp_select_expand!(@check $len);
        let operation = $crate::internal::select(&mut $list[..$len], $biased);
        (operation.index(), ::core::option::Option::Some(operation))
    }};
    (@block (now $body:tt) $list:ident $len:ident $biased:tt) => {{
        let result = $crate::internal::try_select(&mut $list[..$len], $biased);
        $crate::__weftwork_csp_select_expand!(@limited result)
    }};
    (@block (after ($timeout:expr) $body:tt) $list:ident $len:ident $biased:tt) => {{
        let result = $crate::internal::select_timeout(&mut $list[..$len], $timeout, $biased);
        $crate::__weftwork_csp_select_expand!(@limited result)
    }};
    (@block (until ($instant:expr) $body:tt) $list:ident $len:ident $biased:tt) => {
        match $crate::__weftwork_csp_select_expand!(@deadline (until ($instant) $body)) {
            ::core::option::Option::Some(instant) => {
                let result =
                    $crate::internal::select_deadline(&mut $list[..$len], instant, $biased);
                $crate::__weftwork_csp_select_expand!(@limited result)
            }
            ::core::option::Option::None => {
                $crate::__weftwork_csp_select_expand!(@block () $list $len $biased)
            }
        }
    };

    // To an `Option<Instant>`, where `None` is never.
    (@deadline ()) => { ::core::option::Option::<::std::time::Instant>::None };
    (@deadline (after ($timeout:expr) $body:tt)) => {
        ::std::time::Instant::now().checked_add($timeout)
    };
    (@deadline (until ($instant:expr) $body:tt)) => {
        ::core::convert::Into::<::core::option::Option<::std::time::Instant>>::into($instant)
    };

    (@check $len:ident) => {
        if $len == 0 {
            ::core::panic!("all arms of a `select!` without `default` are disabled");
        }
    };
    (@limited $result:ident) => {
        match $result {
            ::core::result::Result::Ok(operation) => {
                (operation.index(), ::core::option::Option::Some(operation))
            }
            ::core::result::Result::Err(_) => (usize::MAX, ::core::option::Option::None),
        }
    };

    // Lists the enabled arms, and counts them.
    (@list $list:ident {$($i:tt $arm:ident $kind:ident)*}) => {{
        #[allow(unused_mut)]
        let mut len = 0_usize;
        $(if let ::core::option::Option::Some(handle) =
            $crate::__weftwork_csp_select_expand!(@handle $kind $arm)
        {
            $list[len] = (handle, $i);
            len += 1;
        })*
        len
    }};
    (@handle event $arm:ident) => {
        $arm.as_ref().as_pin_ref().map($crate::internal::EventArm::handle)
    };
    (@handle closed $arm:ident) => { $arm.as_ref() };
    (@handle $kind:ident $arm:ident) => { $arm };

    (@complete recv $arm:ident $args:tt $operation:ident) => {
        $operation.recv($arm.expect("a chosen arm is enabled"))
    };
    (@complete send $arm:ident ($handle:expr, $message:expr) $operation:ident) => {
        $operation.send($arm.expect("a chosen arm is enabled"), $message)
    };
    (@complete event $arm:ident $args:tt $operation:ident) => {
        $operation.event(&$arm.as_ref().as_pin_ref().expect("a chosen arm is enabled"))
    };
    (@complete closed $arm:ident $args:tt $operation:ident) => { $operation.closed() };

    (@release {$($event:ident)*}) => {
        $($event.set(::core::option::Option::None);)*
    };

    (@otherwise ()) => { ::core::unreachable!("an arm was chosen that is not in the list") };
    (@otherwise (now $body:tt)) => { $body };
    (@otherwise ($limit:ident $args:tt $body:tt)) => { $body };
}
