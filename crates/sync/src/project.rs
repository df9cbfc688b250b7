//! From a pinned future to its pinned waiter: the one step of this crate's futures that needs
//! `unsafe`, in one place.

/// Pins a field of what `$this: Pin<&mut Self>` points to.
///
/// For fields that are never moved while their struct is pinned: of a struct that moves none of its
/// fields out, has no `Drop` that does, and is not `Unpin` by hand.
macro_rules! project {
    ($this:ident . $field:ident) => {{
        let this = std::pin::Pin::as_mut(&mut $this);
        // SAFETY: nothing is moved through this reference but to be pinned again at once, and the
        // field is one that stays where it is: see the head of the macro.
        unsafe { std::pin::Pin::map_unchecked_mut(this, |this| &mut this.$field) }
    }};
}
pub(crate) use project;
