//! A web shop whose handlers wait inside a transaction: for stock to arrive, or for their time to be over.
//!
//! ```sh
//! cargo run --release --example stm_web -- --listen 127.0.0.1:8080
//! curl http://127.0.0.1:8080/buy/tea &          # Waits for two seconds at most.
//! curl http://127.0.0.1:8080/restock/tea/5      # Ends the wait at once.
//! curl http://127.0.0.1:8080/stock
//! ```
//!
//! Each connection is a future. One that waits is a few hundred bytes, and an entry for each variable that
//! it has read; only a delivery of its article wakes it. Without arguments the shop is its own customer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use clap::Parser;
use weftwork::net::{SocketAddr, TcpListener, TcpStream};
use weftwork::prelude::*;
use weftwork::stm::bridge;

/// Serves a shop over HTTP.
#[derive(Parser, Debug)]
#[command(about, long_about = None)]
struct Options {
    /// Where to serve until the end of the process, instead of a test.
    #[arg(long)]
    listen: Option<SocketAddr>,
}

struct Shop {
    stock: HashMap<&'static str, TVar<u32>>,
    sold: TVar<u32>,
    /// How long a handler waits for stock.
    patience: Duration,
}

impl Shop {
    fn open(patience: Duration) -> &'static Shop {
        let articles = ["tea", "coffee", "cocoa"];
        Box::leak(Box::new(Shop {
            stock: articles.map(|article| (article, TVar::new(0))).into(),
            sold: TVar::new(0),
            patience,
        }))
    }

    /// Sells one piece, as soon as there is one; false if there was none in time.
    async fn buy(&self, stock: &TVar<u32>) -> bool {
        let closing = bridge::after(self.patience);
        atomically_async(|tx| {
            tx.or_else(
                |tx| {
                    let count = *stock.get(tx)?;
                    tx.check(count > 0)?;
                    stock.set(tx, count - 1)?;
                    self.sold.update(tx, |n| n + 1)?;
                    Ok(true)
                },
                |tx| closing.get(tx).map(|()| false),
            )
        })
        .await
    }

    /// Status and text for a path.
    async fn answer(&self, path: &str) -> (&'static str, String) {
        let mut parts = path.trim_matches('/').split('/');
        let (verb, article, count) = (parts.next(), parts.next(), parts.next());
        let stock = article.and_then(|article| self.stock.get(article));
        match (verb, stock, count.map(str::parse::<u32>)) {
            (Some("buy"), Some(stock), None) => match self.buy(stock).await {
                true => ("200 OK", "sold\n".into()),
                false => ("503 Service Unavailable", "out of stock\n".into()),
            },
            (Some("restock"), Some(stock), Some(Ok(count))) => {
                atomically_async(|tx| stock.update(tx, |n| n.saturating_add(count))).await;
                ("200 OK", "thank you\n".into())
            }
            (Some("stock"), None, None) => ("200 OK", self.inventory()),
            _ => ("404 Not Found", "no such page\n".into()),
        }
    }

    fn inventory(&self) -> String {
        snapshot(|s| {
            let line = |(name, stock): (&&str, &TVar<u32>)| format!("{name} {}\n", stock.view(s));
            let mut lines: Vec<_> = self.stock.iter().map(line).collect();
            lines.sort_unstable();
            lines.concat() + &format!("sold {}\n", self.sold.view(s))
        })
    }
}

/// Answers one request.
async fn serve(shop: &Shop, stream: TcpStream) -> std::io::Result<()> {
    let (mut buffer, mut length) = ([0; 4096], 0);
    let path = loop {
        match stream.read_async(&mut buffer[length..]).await? {
            0 => return Ok(()),
            count => length += count,
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&buffer[..length]) {
            Ok(httparse::Status::Partial) => {}
            Ok(httparse::Status::Complete(_)) => break request.path.unwrap_or("/").to_owned(),
            Err(error) => return Err(std::io::Error::other(error)),
        }
    };
    let (status, text) = shop.answer(&path).await;
    let length = text.len();
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{text}"
    );
    stream.write_all_async(response.as_bytes()).await
}

async fn serve_all(shop: &'static Shop, listener: TcpListener) {
    loop {
        match listener.accept_async().await {
            Ok((stream, _)) => drop(spawn_async(async move {
                if let Err(error) = serve(shop, stream).await {
                    eprintln!("a connection failed: {error}");
                }
            })),
            Err(error) => return eprintln!("cannot accept: {error}"),
        }
    }
}

/// Status and text of a page.
fn fetch(address: SocketAddr, path: &str) -> (String, String) {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(address).expect("the shop is open");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it listens");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("it answers");
    let (head, text) = response.split_once("\r\n\r\n").expect("a response");
    let status = head.split(' ').nth(1).expect("a status line");
    (status.to_owned(), text.to_owned())
}

/// Lets customers come before the goods.
fn test(customers: usize) {
    let shop = Shop::open(Duration::from_millis(500));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = spawn_async(serve_all(shop, listener));
    let start = Instant::now();
    let buy = move |_| spawn(move || fetch(address, "/buy/tea").0);
    let buyers: Vec<_> = (0..customers).map(buy).collect();
    // Enough for all but ten of them, in two deliveries; cocoa is nobody's concern.
    let pieces = customers - 10;
    for path in [
        format!("/restock/tea/{}", pieces / 2),
        "/restock/cocoa/3".into(),
        format!("/restock/tea/{}", pieces - pieces / 2),
    ] {
        assert_eq!(fetch(address, &path).0, "200");
    }
    let statuses: Vec<_> = buyers
        .into_iter()
        .map(|buyer| buyer.join().expect("served"))
        .collect();
    let sold = statuses.iter().filter(|status| *status == "200").count();
    let refused = statuses.iter().filter(|status| *status == "503").count();
    println!(
        "{customers} customers waited at once: {sold} served, {refused} sent away, in {:.1?}",
        start.elapsed()
    );
    assert_eq!((sold, refused), (pieces, 10));
    let (_, stock) = fetch(address, "/stock");
    print!("{stock}");
    assert_eq!(stock, format!("cocoa 3\ncoffee 0\ntea 0\nsold {pieces}\n"));
    assert_eq!(fetch(address, "/nonsense").0, "404");
    server.cancel();
}

#[weftwork::main]
fn main() {
    match (Options::parse().listen, std::env::var_os("WEFTWORK_SMALL")) {
        (Some(address), _) => {
            let listener = TcpListener::bind(address).expect("the address is free");
            println!("serving on http://{address}");
            block_on(serve_all(Shop::open(Duration::from_secs(2)), listener));
        }
        (None, Some(_)) => test(50),
        (None, None) => test(500),
    }
}
