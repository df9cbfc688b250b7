//! Each arm that cannot be read is answered by the form that can.

use weftwork_csp::{never, select, select_async};

fn empty() {
    select! {}
}

fn unknown_kind() {
    select! { receive(never()) -> _ => {} }
}

fn not_a_kind() {
    select! { 7 => {} }
}

fn no_arguments() {
    select! { recv => {} }
}

fn nothing_but_a_kind() {
    select! { send }
}

fn braces_for_arguments() {
    select! { recv { never() } -> _ => {} }
}

fn wrong_arguments_of_recv() {
    select! { recv(never(), 1) -> _ => {} }
}

fn wrong_arguments_of_send() {
    select! { send(sender) -> _ => {} }
}

fn wrong_arguments_of_event() {
    select! { event() -> _ => {} }
}

fn wrong_arguments_of_closed() {
    select! { closed() -> _ => {} }
}

fn wrong_arguments_of_default() {
    select! { default(1, 2) => {} }
}

fn wrong_arguments_of_deadline() {
    select! { deadline() => {} }
}

fn deadline_without_arguments() {
    select! { deadline => {} }
}

fn no_arrow() {
    select! { recv(never::<()>()) => {} }
}

fn no_pattern() {
    select! { recv(never::<()>()) -> => {} }
}

fn nothing_after_the_arguments() {
    select! { recv(never::<()>()) }
}

fn no_fat_arrow() {
    select! { recv(never::<()>()) -> result {} }
}

fn two_arrows() {
    select! { recv(never::<()>()) -> result -> _ => {} }
}

fn no_body() {
    select! { recv(never::<()>()) -> _ => }
}

fn no_body_but_a_comma() {
    select! { recv(never::<()>()) -> _ =>, default => {} }
}

fn no_body_but_an_arm() {
    select! { recv(never::<()>()) -> _ => recv(never::<()>()) -> _ => {} }
}

fn no_comma() {
    select! { recv(never::<()>()) -> _ => drop(1) default => {} }
}

fn semicolon_after_an_expression() {
    select! { recv(never::<()>()) -> _ => drop(1); default => {} }
}

fn semicolon_after_a_block() {
    select! { recv(never::<()>()) -> _ => {}; default => {} }
}

fn result_of_default() {
    select! { default -> result => {} }
}

fn result_of_deadline() {
    select! { deadline(None) -> result => {} }
}

fn two_defaults() {
    select! { default => {} default => {} }
}

fn default_and_deadline() {
    select! { default => {} deadline(None) => {} }
}

fn no_condition() {
    select! { recv(never::<()>()) if -> _ => {} }
}

fn no_condition_and_no_arrow() {
    select! { recv(never::<()>()) if true => {} }
}

fn pattern_before_the_guard() {
    select! { recv(never::<()>()) -> _ if true => {} }
}

fn guard_of_default() {
    select! { default() if true => {} }
}

async fn the_same_in_async() {
    select_async! { recv(never::<()>()) => {} }
}

fn too_many_arms() {
    select! {
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {} recv(r) -> _ => {}
        recv(r) -> _ => {}
    }
}

fn main() {}
