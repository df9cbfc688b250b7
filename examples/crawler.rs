//! A web crawler with a bounded pipeline, over a small site that it serves itself: HTTP/1.1 on
//! loopback, all of it on green threads.
//!
//! ```text
//!                  paths                     pages
//!   coordinator ──────────▶ fetchers (8) ──────────▶ coordinator
//! ```
//!
//! Both channels are bounded, and the pipeline is a ring: a coordinator that sent without receiving
//! could wait for fetchers that wait for it. So it offers the next path and looks for the next page in
//! one `select!`, and has the first arm only while it has a path to offer.
//!
//! `cargo run --release --example crawler`

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use weftwork::net::{SocketAddr, TcpListener, TcpStream};
use weftwork::prelude::*;

const FETCHERS: usize = 8;

/// What a fetcher found.
struct Page {
    path: String,
    status: u16,
    links: Vec<String>,
}

/// The site: page `n` of `pages` links to some others, and now and then to one that is not there.
fn body(n: usize, pages: usize) -> String {
    let mut targets = vec![2 * n + 1, 2 * n + 2, n * 7 % pages, n / 2];
    targets.retain(|&target| target < pages);
    let mut html = format!("<h1>Page {n}</h1>\n");
    for target in targets {
        html += &format!("<a href=\"/page/{target}\">on</a>\n");
    }
    if n % 10 == 3 {
        html += &format!("<a href=\"/missing/{n}\">gone</a>\n");
    }
    html
}

fn bad_data(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

/// Reads until `parse` finds a whole head. Gives what it made of it, and the bytes after it.
fn read_head<T>(
    stream: &mut TcpStream,
    parse: impl Fn(&[u8]) -> Result<Option<(usize, T)>, httparse::Error>,
) -> io::Result<(T, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        if let Some((length, head)) = parse(&bytes).map_err(bad_data)? {
            return Ok((head, bytes.split_off(length)));
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

/// Answers one request.
fn answer(mut stream: TcpStream, pages: usize) -> io::Result<()> {
    let (path, _) = read_head(&mut stream, |bytes| {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        Ok(match request.parse(bytes)? {
            httparse::Status::Complete(length) => {
                Some((length, request.path.unwrap_or("/").to_owned()))
            }
            httparse::Status::Partial => None,
        })
    })?;
    let page = path.strip_prefix("/page/").and_then(|n| n.parse().ok());
    let (status, body) = match page {
        Some(n) if n < pages => ("200 OK", body(n, pages)),
        _ => ("404 Not Found", String::from("<h1>Not here</h1>")),
    };
    // In one piece, not in those it is formatted from.
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(response.as_bytes())
}

/// Gets one page and looks for links in it.
fn fetch(server: SocketAddr, path: &str) -> io::Result<Page> {
    let mut stream = TcpStream::connect(server)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let ((status, length), mut body) = read_head(&mut stream, |bytes| {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut headers);
        Ok(match response.parse(bytes)? {
            httparse::Status::Complete(end) => {
                let length = response
                    .headers
                    .iter()
                    .find(|header| header.name.eq_ignore_ascii_case("content-length"))
                    .and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
                Some((end, (response.code.unwrap_or(0), length.unwrap_or(0))))
            }
            httparse::Status::Partial => None,
        })
    })?;
    let missing: usize = length;
    let missing = missing.saturating_sub(body.len());
    let mut rest = vec![0; missing];
    stream.read_exact(&mut rest)?;
    body.append(&mut rest);
    let html = String::from_utf8(body).map_err(bad_data)?;
    let links = html
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect();
    Ok(Page {
        path: path.to_owned(),
        status,
        links,
    })
}

/// Follows all links from `start`. Gives the status of every page.
fn crawl(
    server: SocketAddr,
    start: &str,
    busiest: &AtomicUsize,
) -> io::Result<BTreeMap<String, u16>> {
    let busy = AtomicUsize::new(0);
    let (paths, next_path) = bounded::<String>(FETCHERS);
    let (pages, next_page) = bounded::<io::Result<Page>>(FETCHERS);
    scope(|s| {
        for _ in 0..FETCHERS {
            let (next_path, pages, busy) = (next_path.clone(), pages.clone(), &busy);
            s.spawn(move || {
                for path in next_path {
                    busiest.fetch_max(busy.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    let page = fetch(server, &path);
                    busy.fetch_sub(1, Ordering::Relaxed);
                    if pages.send(page).is_err() {
                        return;
                    }
                }
            });
        }
        drop((next_path, pages));

        let mut seen = BTreeSet::from([start.to_owned()]);
        let mut waiting = VecDeque::from([start.to_owned()]);
        let mut results = BTreeMap::new();
        let mut under_way = 0;
        // Dropped at the end of this closure, also by an error: that is what ends the fetchers.
        let (paths, next_page) = (paths, next_page);
        while under_way > 0 || !waiting.is_empty() {
            let page = if waiting.is_empty() {
                next_page.recv()
            } else {
                select! {
                    // The path leaves the queue only if this arm is chosen.
                    send(paths, waiting.pop_front().expect("it is not empty")) -> sent => {
                        sent.expect("the fetchers receive");
                        under_way += 1;
                        continue;
                    }
                    recv(next_page) -> page => page,
                }
            };
            let page = page.expect("the fetchers send")?;
            under_way -= 1;
            for link in page.links {
                if seen.insert(link.clone()) {
                    waiting.push_back(link);
                }
            }
            results.insert(page.path, page.status);
        }
        Ok(results)
    })
}

#[weftwork::main]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pages = match std::env::var_os("WEFTWORK_SMALL") {
        Some(_) => 200,
        None => 2_000,
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            drop(spawn(move || answer(stream, pages)));
        }
    });

    let busiest = AtomicUsize::new(0);
    let results = crawl(address, "/page/0", &busiest)?;
    server.cancel();

    let found = results.values().filter(|status| **status == 200).count();
    let missing = results.values().filter(|status| **status == 404).count();
    let busiest = busiest.into_inner();
    println!("{found} pages and {missing} dead links, {busiest} fetches at the same time at most");

    // Page n is linked from page (n - 1) / 2, so all of them can be reached.
    let expected = |n| results.get(&format!("/page/{n}")) == Some(&200);
    assert!((0..pages).all(expected));
    assert_eq!(found, pages);
    assert_eq!(missing, (0..pages).filter(|n| n % 10 == 3).count());
    assert!((1..=FETCHERS).contains(&busiest));
    Ok(())
}
