//! A bank: clerks transfer money between accounts while an auditor counts all of it, again and again.
//!
//! A transfer is a transaction, so no money is ever under way. The audit is a snapshot: it sees all
//! accounts as they were at one instant, holds nobody up, and is never started anew, however busy the clerks
//! are. A customer sleeps until his money has doubled, or the bank closes.
//!
//! `cargo run --release --example bank`

use std::time::Instant;

use weftwork::prelude::*;
use weftwork::stm;

const CLERKS: usize = 4;
const DEPOSIT: u64 = 1_000;

/// Numbers that look random: the generator of Marsaglia's xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

struct Bank {
    accounts: Vec<TVar<u64>>,
    transfers: TVar<u64>,
    is_closed: TVar<bool>,
}

/// Why a transfer is not made.
#[derive(Debug, PartialEq)]
struct Uncovered {
    missing: u64,
}

impl Bank {
    fn open(accounts: usize) -> Bank {
        Bank {
            accounts: (0..accounts).map(|_| TVar::new(DEPOSIT)).collect(),
            transfers: TVar::new(0),
            is_closed: TVar::new(false),
        }
    }

    /// Moves `amount`, if there is enough of it.
    fn transfer(&self, from: usize, to: usize, amount: u64) -> Result<(), Uncovered> {
        try_atomically(|tx| {
            let (from, to) = (&self.accounts[from], &self.accounts[to]);
            let covered = *from.get(tx)?;
            if covered < amount {
                let missing = amount - covered;
                return stm::abort(Uncovered { missing });
            }
            from.set(tx, covered - amount)?;
            to.update(tx, |n| n + amount)?;
            // Everybody counts here. Applied at the commit, so it makes nobody start anew.
            self.transfers.commute(tx, |n| n + 1)?;
            Ok(())
        })
    }

    /// All the money there is, at one instant.
    fn audit(&self) -> u64 {
        snapshot(|s| self.accounts.iter().map(|account| account.view(s)).sum())
    }

    /// Waits until `account` holds `target`, or the bank is closed; which of them it was.
    fn wait_until_rich(&self, account: usize, target: u64) -> bool {
        atomically(|tx| {
            tx.or_else(
                |tx| {
                    tx.check(*self.accounts[account].get(tx)? >= target)?;
                    Ok(true)
                },
                |tx| {
                    tx.check(*self.is_closed.get(tx)?)?;
                    Ok(false)
                },
            )
        })
    }
}

#[weftwork::main]
fn main() {
    let (accounts, transfers) = match std::env::var_os("WEFTWORK_SMALL") {
        Some(_) => (256, 20_000),
        None => (1024, 500_000),
    };
    let bank = Bank::open(accounts);
    let total = accounts as u64 * DEPOSIT;
    let start = Instant::now();
    let (refused, audits) = scope(|s| {
        let bank = &bank;
        let auditor = s.spawn(move || {
            let mut audits = 0_u64;
            loop {
                assert_eq!(bank.audit(), total, "an audit finds all of the money");
                audits += 1;
                if bank.is_closed.load() {
                    return audits;
                }
                yield_now();
            }
        });
        let customer = s.spawn(move || bank.wait_until_rich(0, 2 * DEPOSIT));
        let clerks: Vec<_> = (0..CLERKS)
            .map(|clerk| {
                s.spawn(move || {
                    let mut dice = Dice(clerk as u64 + 1);
                    let mut refused = 0_u64;
                    for n in 0..transfers / CLERKS {
                        let from = dice.roll(accounts);
                        let to = (from + 1 + dice.roll(accounts - 1)) % accounts;
                        let amount = dice.roll(DEPOSIT as usize) as u64;
                        refused += u64::from(bank.transfer(from, to, amount).is_err());
                        if n % 64 == 0 {
                            checkpoint();
                        }
                    }
                    refused
                })
            })
            .collect();
        let refused: u64 = clerks.into_iter().map(|clerk| clerk.join().unwrap()).sum();
        bank.is_closed.store(true);
        let became_rich = customer.join().unwrap();
        println!("the customer of account 0 has doubled his money: {became_rich}");
        (refused, auditor.join().unwrap())
    });

    let made = bank.transfers.load();
    println!(
        "{made} transfers and {audits} audits in {:.1?}, {refused} refused",
        start.elapsed()
    );
    assert_eq!(bank.audit(), total);
    assert_eq!(made + refused, (transfers / CLERKS * CLERKS) as u64);

    // The balance of all is what it was, and a refusal has changed nothing.
    let balance = bank.accounts[1].load();
    let uncovered = bank.transfer(1, 2, balance + 5);
    assert_eq!(uncovered, Err(Uncovered { missing: 5 }));
    assert_eq!(bank.accounts[1].load(), balance);
}
