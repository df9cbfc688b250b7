//! The options in the parentheses of the attributes.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, Lit, LitStr, Path, Result, Token};

/// What kind of runtime is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// One with worker threads.
    Multi,
    /// One that runs on the calling thread.
    Local,
}

/// The options as written; those that were not are `None`.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) workers: Option<Expr>,
    pub(crate) flavor: Option<Flavor>,
    pub(crate) name: Option<LitStr>,
    pub(crate) krate: Option<Path>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Options::default();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            // Any word: `crate` is a keyword.
            let option = input.call(Ident::parse_any)?;
            if seen.contains(&option) {
                return Err(Error::new(
                    option.span(),
                    format!("the option `{option}` is given twice"),
                ));
            }
            let known = ["workers", "flavor", "name", "crate"];
            if !known.iter().any(|known| option == known) {
                return Err(Error::new(
                    option.span(),
                    format!(
                        "unknown option `{option}`: expected `workers`, `flavor`, `name` or `crate`"
                    ),
                ));
            }
            input.parse::<Token![=]>()?;
            if option == "workers" {
                options.workers = Some(workers(input)?);
            } else if option == "flavor" {
                options.flavor = Some(flavor(input)?);
            } else if option == "name" {
                options.name = Some(name(input)?);
            } else {
                options.krate = Some(input.call(Path::parse_mod_style)?);
            }
            seen.push(option);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if options.flavor == Some(Flavor::Local) && options.workers.is_some() {
            return Err(Error::new(
                span_of(&seen, "workers"),
                "a runtime of flavor \"local\" has no worker threads: remove `workers`",
            ));
        }
        Ok(options)
    }
}

fn workers(input: ParseStream<'_>) -> Result<Expr> {
    let expression: Expr = input.parse()?;
    if let Expr::Lit(literal) = &expression {
        // What is not a literal is checked by the compiler and by the builder.
        let Lit::Int(number) = &literal.lit else {
            return Err(Error::new_spanned(
                literal,
                "`workers` is a number of threads, such as `workers = 4`",
            ));
        };
        if number.base10_parse::<usize>()? == 0 {
            return Err(Error::new_spanned(literal, "`workers` must be at least 1"));
        }
    }
    Ok(expression)
}

fn flavor(input: ParseStream<'_>) -> Result<Flavor> {
    let expected = "`flavor` is \"multi\" or \"local\"";
    let span = input.span();
    let flavor: LitStr = input.parse().map_err(|_| Error::new(span, expected))?;
    match flavor.value().as_str() {
        "multi" => Ok(Flavor::Multi),
        "local" => Ok(Flavor::Local),
        _ => Err(Error::new(span, expected)),
    }
}

fn name(input: ParseStream<'_>) -> Result<LitStr> {
    let span = input.span();
    input
        .parse()
        .map_err(|_| Error::new(span, "`name` is a string, such as `name = \"server\"`"))
}

fn span_of(seen: &[Ident], option: &str) -> Span {
    seen.iter()
        .find(|seen| *seen == option)
        .map_or_else(Span::call_site, Ident::span)
}
