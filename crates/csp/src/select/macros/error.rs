//! What is wrong with an arm that cannot be read.
//!
//! Every message names the kind of the arm and shows the form that is right.

/// Expands to a `compile_error!`.
///
/// Called with the tokens from the start of the arm that has no end; with `@form` for an arm that is
/// complete but has the wrong parts, and with `@guard` for a guard without an arrow.
#[doc(hidden)]
#[macro_export]
macro_rules! __weftwork_csp_select_error {
    // The forms, in one place.
    (@show recv $($what:expr),+) => {
        $crate::__weftwork_csp_select_error!(@say "recv(receiver) -> result => body" $($what),+)
    };
    (@show send $($what:expr),+) => {
        $crate::__weftwork_csp_select_error!(@say "send(sender, message) -> result => body" $($what),+)
    };
    (@show event $($what:expr),+) => {
        $crate::__weftwork_csp_select_error!(@say "event(event) -> output => body" $($what),+)
    };
    (@show closed $($what:expr),+) => {
        $crate::__weftwork_csp_select_error!(@say "closed(handle) -> reason => body" $($what),+)
    };
    (@show default $($what:expr),+) => {
        $crate::__weftwork_csp_select_error!(
            @say "default => body` or `default(timeout) => body" $($what),+
        )
    };
    (@show deadline $($what:expr),+) => {
        $crate::__weftwork_csp_select_error!(@say "deadline(instant) => body" $($what),+)
    };
    (@show $kind:tt $($what:expr),+) => {
        ::core::compile_error!(::core::concat!(
            "expected `recv`, `send`, `event`, `closed`, `default` or `deadline`, found `",
            ::core::stringify!($kind),
            "`",
        ))
    };
    (@say $form:literal $($what:expr),+) => {
        ::core::compile_error!(::core::concat!($($what,)+ ": `", $form, "`"))
    };

    // An arm with a head, a pattern and a body, of which one is wrong.
    (@form [$m:tt $arms:tt $e:tt ($($limit:tt)+) $l:tt] [true] default $args:tt []) => {
        ::core::compile_error!("a `select!` has at most one `default` or `deadline`")
    };
    (@form [$m:tt $arms:tt $e:tt ($($limit:tt)+) $l:tt] [true] deadline $args:tt []) => {
        ::core::compile_error!("a `select!` has at most one `default` or `deadline`")
    };
    (@form $state:tt $guard:tt default $args:tt [$pat:pat]) => {
        $crate::__weftwork_csp_select_error!(@show default "`default` has no result")
    };
    (@form $state:tt $guard:tt deadline $args:tt [$pat:pat]) => {
        $crate::__weftwork_csp_select_error!(@show deadline "`deadline` has no result")
    };
    (@form $state:tt $guard:tt $kind:ident [] $pat:tt) => {
        $crate::__weftwork_csp_select_error!(
            @show $kind "missing arguments after `", ::core::stringify!($kind), "`"
        )
    };
    (@form $state:tt [$on:expr] $kind:ident [($($args:tt)*)] [$pat:pat]) => {
        $crate::__weftwork_csp_select_error!(
            @show $kind
            "wrong arguments in `", ::core::stringify!($kind), "(", ::core::stringify!($($args)*), ")`"
        )
    };
    (@form $state:tt [$on:expr] default [($($args:tt)*)] []) => {
        $crate::__weftwork_csp_select_error!(
            @show default "wrong arguments in `default(", ::core::stringify!($($args)*), ")`"
        )
    };
    (@form $state:tt [$on:expr] deadline [($($args:tt)*)] []) => {
        $crate::__weftwork_csp_select_error!(
            @show deadline "wrong arguments in `deadline(", ::core::stringify!($($args)*), ")`"
        )
    };
    (@form $state:tt [$on:expr] $kind:ident $args:tt []) => {
        $crate::__weftwork_csp_select_error!(
            @show $kind "expected `->` after the arguments of `", ::core::stringify!($kind), "`"
        )
    };
    (@form $state:tt $guard:tt $kind:ident $args:tt $pat:tt) => {
        $crate::__weftwork_csp_select_error!(@guard $kind)
    };

    (@guard default) => {
        $crate::__weftwork_csp_select_error!(@show default "`default` takes no guard")
    };
    (@guard deadline) => {
        $crate::__weftwork_csp_select_error!(@show deadline "`deadline` takes no guard")
    };
    (@guard $kind:ident) => {
        ::core::compile_error!(::core::concat!(
            "a guard is a condition and stands before the `->`: `",
            ::core::stringify!($kind),
            "(..) if condition -> result => body`",
        ))
    };

    // A complete head: the body is missing, or does not end where it should.
    (@head $kind:ident $(($($args:tt)*))? $(-> $pat:pat)? =>) => {
        $crate::__weftwork_csp_select_error!(@show $kind "missing body after `=>`")
    };
    (@head $kind:ident $(($($args:tt)*))? $(-> $pat:pat)? => , $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!(@show $kind "missing body after `=>`")
    };
    (@head $kind:ident $(($($args:tt)*))? $(-> $pat:pat)? =>
        $next:ident ($($other:tt)*) -> $($rest:tt)*
    ) => {
        $crate::__weftwork_csp_select_error!(@show $kind "missing body after `=>`")
    };
    (@head $kind:ident $(($($args:tt)*))? $(-> $pat:pat)? => $body:expr; $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!(
            @show $kind "expected `,` after a body, found `;`"
        )
    };
    (@head $kind:ident $(($($args:tt)*))? $(-> $pat:pat)? => $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!(
            @show $kind "expected `,` after the body of `", ::core::stringify!($kind), "`"
        )
    };
    // The head itself.
    (@head $kind:ident) => {
        $crate::__weftwork_csp_select_error!(
            @show $kind "missing arguments after `", ::core::stringify!($kind), "`"
        )
    };
    (@head $kind:ident ($($args:tt)*) -> $(=> $($rest:tt)*)?) => {
        $crate::__weftwork_csp_select_error!(@show $kind "missing pattern after `->`")
    };
    (@head $kind:ident ($($args:tt)*) -> $pat:pat if $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!(@guard $kind)
    };
    (@head $kind:ident ($($args:tt)*) -> $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!(@show $kind "expected a pattern and `=>` after `->`")
    };
    (@head $kind:ident ($($args:tt)*)) => {
        $crate::__weftwork_csp_select_error!(
            @show $kind "missing `=>` after `", ::core::stringify!($kind), "(..)`"
        )
    };
    (@head $kind:ident ($($args:tt)*) $found:tt $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!(
            @show $kind
            "unexpected `", ::core::stringify!($found), "` after the arguments of `",
            ::core::stringify!($kind), "`"
        )
    };
    (@head $kind:ident $found:tt $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!(
            @show $kind
            "expected arguments after `", ::core::stringify!($kind), "`, found `",
            ::core::stringify!($found), "`"
        )
    };

    // The tokens of an arm that has no end.
    (; $($rest:tt)*) => {
        ::core::compile_error!("expected `,` or an arm after a body, found `;`")
    };
    ($kind:ident $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!(@head $kind $($rest)*)
    };
    ($other:tt $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!(@show $other "")
    };
}
