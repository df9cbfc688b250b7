//! The first stage: from tokens to a list of arms.
//!
//! The state is one token tree, `[mode {arms} {events} limit (labels)]`:
//!
//! - `mode`: `[block false]`; `async` for `block` in futures, `true` for `false` if biased;
//! - `arms`: what was read, each `(index variable kind (arguments) [guard] (pattern) {body})`;
//! - `events`: the variables of the arms that are events;
//! - `limit`: `()`, `(now {body})`, `(after (duration) {body})` or `(until (instant) {body})`;
//! - `labels`: the numbers and variables for arms to come.
//!
//! Reading an arm takes two steps, `@arm` to find its end and `@add` to check its form, and one more
//! for every four tokens of a guard. So 48 arms fit into the compiler's usual limit of recursion.

/// Starts: nothing is read, all labels are free.
#[doc(hidden)]
#[macro_export]
macro_rules! __weftwork_csp_select {
    ($mode:tt) => {
        ::core::compile_error!("a `select!` needs at least one arm")
    };
    ($mode:tt $($arms:tt)+) => {
        $crate::__weftwork_csp_select_parse!(
            @arm
            [$mode {} {} () (
                (0usize _arm0) (1usize _arm1) (2usize _arm2) (3usize _arm3)
                (4usize _arm4) (5usize _arm5) (6usize _arm6) (7usize _arm7)
                (8usize _arm8) (9usize _arm9) (10usize _arm10) (11usize _arm11)
                (12usize _arm12) (13usize _arm13) (14usize _arm14) (15usize _arm15)
                (16usize _arm16) (17usize _arm17) (18usize _arm18) (19usize _arm19)
                (20usize _arm20) (21usize _arm21) (22usize _arm22) (23usize _arm23)
                (24usize _arm24) (25usize _arm25) (26usize _arm26) (27usize _arm27)
                (28usize _arm28) (29usize _arm29) (30usize _arm30) (31usize _arm31)
                (32usize _arm32) (33usize _arm33) (34usize _arm34) (35usize _arm35)
                (36usize _arm36) (37usize _arm37) (38usize _arm38) (39usize _arm39)
                (40usize _arm40) (41usize _arm41) (42usize _arm42) (43usize _arm43)
                (44usize _arm44) (45usize _arm45) (46usize _arm46) (47usize _arm47)
            )]
            [true]
            $($arms)+
        )
    };
}

/// Reads the arms one after the other.
#[doc(hidden)]
#[macro_export]
macro_rules! __weftwork_csp_select_parse {
    // `@arm state [guard] tokens`: finds where the first arm ends.
    //
    // All are read.
    (@arm [$mode:tt $arms:tt $events:tt $limit:tt $labels:tt] [true]) => {
        $crate::__weftwork_csp_select_expand!($mode $arms $events $limit)
    };
    // A guard. No fragment of a macro may stand before `->`, so its tokens are collected.
    (@arm $state:tt [true] $kind:ident ($($args:tt)*) if $($rest:tt)*) => {
        $crate::__weftwork_csp_select_parse!(@guard $state [] [$kind ($($args)*)] $($rest)*)
    };
    // A block and a comma.
    (@arm $state:tt $guard:tt
        $kind:ident $(($($args:tt)*))? $(-> $pat:pat)? => { $($body:tt)* }, $($rest:tt)*
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @add $state $guard $kind [$(($($args)*))?] [$($pat)?] { $($body)* } $($rest)*
        )
    };
    // A block, and it is the last arm. As an expression it would be called needlessly braced.
    (@arm $state:tt $guard:tt
        $kind:ident $(($($args:tt)*))? $(-> $pat:pat)? => { $($body:tt)* }
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @add $state $guard $kind [$(($($args)*))?] [$($pat)?] { $($body)* }
        )
    };
    // An expression and a comma.
    (@arm $state:tt $guard:tt
        $kind:ident $(($($args:tt)*))? $(-> $pat:pat)? => $body:expr, $($rest:tt)*
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @add $state $guard $kind [$(($($args)*))?] [$($pat)?] { $body } $($rest)*
        )
    };
    // An expression, and it is the last arm.
    (@arm $state:tt $guard:tt
        $kind:ident $(($($args:tt)*))? $(-> $pat:pat)? => $body:expr
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @add $state $guard $kind [$(($($args)*))?] [$($pat)?] { $body }
        )
    };
    // A block without a comma.
    (@arm $state:tt $guard:tt
        $kind:ident $(($($args:tt)*))? $(-> $pat:pat)? => { $($body:tt)* } $($rest:tt)*
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @add $state $guard $kind [$(($($args)*))?] [$($pat)?] { $($body)* } $($rest)*
        )
    };
    (@arm $state:tt $guard:tt $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!($($rest)*)
    };

    // `@guard state [collected] [head of the arm] tokens`: collects up to the arrow.
    (@guard $state:tt [$($on:tt)*] [$($head:tt)*] -> $($rest:tt)*) => {
        $crate::__weftwork_csp_select_parse!(@arm $state [$($on)*] $($head)* -> $($rest)*)
    };
    (@guard $state:tt [$($on:tt)*] [$($head:tt)*] $a:tt -> $($rest:tt)*) => {
        $crate::__weftwork_csp_select_parse!(@arm $state [$($on)* $a] $($head)* -> $($rest)*)
    };
    (@guard $state:tt [$($on:tt)*] [$($head:tt)*] $a:tt $b:tt -> $($rest:tt)*) => {
        $crate::__weftwork_csp_select_parse!(@arm $state [$($on)* $a $b] $($head)* -> $($rest)*)
    };
    (@guard $state:tt [$($on:tt)*] [$($head:tt)*] $a:tt $b:tt $c:tt -> $($rest:tt)*) => {
        $crate::__weftwork_csp_select_parse!(@arm $state [$($on)* $a $b $c] $($head)* -> $($rest)*)
    };
    (@guard $state:tt [$($on:tt)*] $head:tt $a:tt $b:tt $c:tt $d:tt $($rest:tt)*) => {
        $crate::__weftwork_csp_select_parse!(@guard $state [$($on)* $a $b $c $d] $head $($rest)*)
    };
    (@guard $state:tt $on:tt [$kind:ident $args:tt] $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!(@guard $kind)
    };

    // `@add state [guard] kind [(arguments)] [pattern] {body} tokens`: checks the form of an arm and
    // notes it down.
    (@add
        [$mode:tt {$($arms:tt)*} $events:tt $limit:tt (($i:tt $arm:ident) $($labels:tt)*)]
        [$on:expr] recv [($handle:expr $(,)?)] [$pat:pat] $body:tt $($rest:tt)*
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @arm
            [
                $mode {$($arms)* ($i $arm recv ($handle) [$on] ($pat) $body)}
                $events $limit ($($labels)*)
            ]
            [true] $($rest)*
        )
    };
    (@add
        [$mode:tt {$($arms:tt)*} $events:tt $limit:tt (($i:tt $arm:ident) $($labels:tt)*)]
        [$on:expr] send [($handle:expr, $message:expr $(,)?)] [$pat:pat] $body:tt $($rest:tt)*
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @arm
            [
                $mode {$($arms)* ($i $arm send ($handle, $message) [$on] ($pat) $body)}
                $events $limit ($($labels)*)
            ]
            [true] $($rest)*
        )
    };
    (@add
        [$mode:tt {$($arms:tt)*} $events:tt $limit:tt (($i:tt $arm:ident) $($labels:tt)*)]
        [$on:expr] closed [($handle:expr $(,)?)] [$pat:pat] $body:tt $($rest:tt)*
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @arm
            [
                $mode {$($arms)* ($i $arm closed ($handle) [$on] ($pat) $body)}
                $events $limit ($($labels)*)
            ]
            [true] $($rest)*
        )
    };
    (@add
        [
            $mode:tt {$($arms:tt)*} {$($events:ident)*} $limit:tt
            (($i:tt $arm:ident) $($labels:tt)*)
        ]
        [$on:expr] event [($event:expr $(,)?)] [$pat:pat] $body:tt $($rest:tt)*
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @arm
            [
                $mode {$($arms)* ($i $arm event ($event) [$on] ($pat) $body)}
                {$($events)* $arm} $limit ($($labels)*)
            ]
            [true] $($rest)*
        )
    };
    (@add
        [$mode:tt $arms:tt $events:tt () $labels:tt]
        [true] default [$(())?] [] $body:tt $($rest:tt)*
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @arm [$mode $arms $events (now $body) $labels] [true] $($rest)*
        )
    };
    (@add
        [$mode:tt $arms:tt $events:tt () $labels:tt]
        [true] default [($timeout:expr $(,)?)] [] $body:tt $($rest:tt)*
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @arm [$mode $arms $events (after ($timeout) $body) $labels] [true] $($rest)*
        )
    };
    (@add
        [$mode:tt $arms:tt $events:tt () $labels:tt]
        [true] deadline [($instant:expr $(,)?)] [] $body:tt $($rest:tt)*
    ) => {
        $crate::__weftwork_csp_select_parse!(
            @arm [$mode $arms $events (until ($instant) $body) $labels] [true] $($rest)*
        )
    };
    (@add [$mode:tt $arms:tt $events:tt $limit:tt ()] $($rest:tt)*) => {
        ::core::compile_error!("a `select!` has at most 48 arms")
    };
    (@add $state:tt $guard:tt $kind:ident $args:tt $pat:tt $body:tt $($rest:tt)*) => {
        $crate::__weftwork_csp_select_error!(@form $state $guard $kind $args $pat)
    };
}
