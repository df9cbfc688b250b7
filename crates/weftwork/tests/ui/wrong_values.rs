#[weftwork::test(workers = 0)]
fn no_workers() {}

#[weftwork::test(workers = "four")]
fn workers_as_text() {}

#[weftwork::test(flavor = "current_thread")]
fn unknown_flavor() {}

#[weftwork::test(flavor = 1)]
fn flavor_is_no_string() {}

#[weftwork::test(name = server)]
fn name_is_no_string() {}

#[weftwork::test(flavor = "local", workers = 2)]
fn local_with_workers() {}

fn main() {}
