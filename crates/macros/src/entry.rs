//! From `fn main() { body }` to a `main` that starts a runtime and runs the body on it.
//!
//! ```text
//! fn main() -> ExitCode {
//!     fn main() -> Written { body }
//!     let runtime = Runtime::builder()….build()…;
//!     runtime.run(|| Termination::report(main()))
//! }
//! ```
//!
//! The body stays a function of its own, so that its return type may be anything, `impl Trait`
//! included, and is turned into an exit status on the runtime: a `Box<dyn Error>` need not be sent to
//! the main thread. The body's tokens are passed on unread: mistakes in it are the compiler's to tell.

use crate::options::{Flavor, Options};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Result, ReturnType, Safety, Signature, Token, Visibility};

/// Which of the attributes is expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
}

/// A function whose body was not parsed.
struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    /// A group in braces.
    body: TokenTree,
}

/// Expands one of the attributes; mistakes become a `compile_error!` beside the function, which is
/// kept, so that nothing else fails for the want of it.
pub(crate) fn expand(kind: Kind, options: TokenStream, function: TokenStream) -> TokenStream {
    let result = Options::parse_all(options).and_then(|options| {
        let function = Function::parse.parse2(function.clone())?;
        function.check(kind)?;
        Ok(function.wrap(kind, &options))
    });
    result.unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#error #function)
    })
}

impl Options {
    fn parse_all(tokens: TokenStream) -> Result<Self> {
        syn::parse2(tokens)
    }
}

impl Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if !starts_function(input) {
            return Err(
                input.error("expected a function: the attribute goes on `fn` or `async fn`")
            );
        }
        let signature = input.parse()?;
        let body: TokenTree = input.parse()?;
        let is_body =
            matches!(&body, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        if !is_body {
            return Err(Error::new(body.span(), "expected a function with a body"));
        }
        Ok(Function {
            attributes,
            visibility,
            signature,
            body,
        })
    }

    fn check(&self, kind: Kind) -> Result<()> {
        let signature = &self.signature;
        let what = match kind {
            Kind::Main => "`main`",
            Kind::Test => "a test",
        };
        if kind == Kind::Main && signature.ident != "main" {
            return Err(Error::new_spanned(
                &signature.ident,
                "`#[weftwork::main]` goes on `fn main`; elsewhere call `Runtime::run`",
            ));
        }
        if !signature.inputs.is_empty() {
            return Err(Error::new_spanned(
                &signature.inputs,
                format!("{what} takes no arguments"),
            ));
        }
        if !signature.generics.params.is_empty() {
            return Err(Error::new_spanned(
                &signature.generics,
                format!("{what} cannot be generic"),
            ));
        }
        let qualifier = if let Some(token) = &signature.constness {
            Some((token.span(), "const"))
        } else if let Safety::Unsafe(token) = &signature.safety {
            Some((token.span(), "unsafe"))
        } else {
            let abi = signature.abi.as_ref();
            abi.map(|abi| (abi.extern_token.span(), "extern"))
        };
        if let Some((span, word)) = qualifier {
            return Err(Error::new(span, format!("{what} cannot be `{word}`")));
        }
        Ok(())
    }

    fn wrap(self, kind: Kind, options: &Options) -> TokenStream {
        let Function {
            attributes,
            visibility,
            signature,
            body,
        } = self;
        let Signature {
            asyncness,
            ident,
            output,
            ..
        } = &signature;
        let krate = match &options.krate {
            Some(path) => quote!(#path),
            None => quote!(::weftwork),
        };
        let runtime = runtime(kind, options, &krate);
        // A return type that `main` cannot have is an error at the type, and so at this call.
        let span = match output {
            ReturnType::Default => ident.span(),
            ReturnType::Type(_, written) => written.span(),
        };
        let mut body_fn = ident.clone();
        body_fn.set_span(span);
        let call = match asyncness {
            Some(_) => quote_spanned!(span=> #krate::block_on(#body_fn())),
            None => quote_spanned!(span=> #body_fn()),
        };
        let (written, report) = match output {
            // Nothing to report: then `#[should_panic]` is allowed, too.
            ReturnType::Default => (quote!(), call),
            ReturnType::Type(..) => (
                quote!(-> ::std::process::ExitCode),
                quote_spanned!(span=> ::std::process::Termination::report(#call)),
            ),
        };
        let test = (kind == Kind::Test).then(|| quote!(#[::core::prelude::v1::test]));
        quote! {
            #test
            #(#attributes)*
            #visibility fn #ident() #written {
                #asyncness fn #ident() #output #body
                #runtime.run(|| #report)
            }
        }
    }
}

/// An expression that starts the runtime.
fn runtime(kind: Kind, options: &Options, krate: &TokenStream) -> TokenStream {
    let workers = match (&options.workers, kind) {
        (Some(workers), _) => quote!(.workers(#workers)),
        (None, Kind::Test) => quote!(.workers(2)),
        (None, Kind::Main) => quote!(),
    };
    let name = options.name.as_ref().map(|name| quote!(.name(#name)));
    let build = match options.flavor.unwrap_or(Flavor::Multi) {
        Flavor::Multi => quote!(build),
        Flavor::Local => quote!(build_local),
    };
    quote! {
        #krate::Runtime::builder() #workers #name .#build()
            .unwrap_or_else(|error| ::std::panic!("the runtime does not start: {error}"))
    }
}

fn starts_function(input: ParseStream<'_>) -> bool {
    let look = input.fork();
    while !look.is_empty() {
        if look.peek(Token![fn]) {
            return true;
        }
        let is_qualifier = look.peek(Token![async])
            || look.peek(Token![const])
            || look.peek(Token![unsafe])
            || look.peek(Token![extern])
            || look.peek(syn::LitStr);
        if !is_qualifier || look.parse::<TokenTree>().is_err() {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(kind: Kind, options: TokenStream, function: TokenStream) -> String {
        expand(kind, options, function).to_string()
    }

    #[test]
    fn the_body_is_passed_on_unread() {
        let text = expanded(
            Kind::Main,
            quote!(),
            quote!(fn main() { this is (not rust) }),
        );
        assert!(text.contains("{ this is (not rust) }"), "{text}");
        assert!(!text.contains("compile_error"), "{text}");
    }

    #[test]
    fn attributes_stay_on_the_outer_function_and_options_reach_the_builder() {
        let text = expanded(
            Kind::Test,
            quote!(workers = 3, name = "x", crate = my::weft),
            quote!(
                #[should_panic]
                pub async fn f() {
                    g().await
                }
            ),
        );
        let test = text.find(":: test").expect("a test attribute");
        let attribute = text.find("should_panic").expect("the written attribute");
        assert!(test < attribute, "{text}");
        for part in [
            "workers (3)",
            "name (\"x\")",
            "my :: weft :: Runtime",
            "async fn f",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn a_mistake_keeps_the_function() {
        let text = expanded(
            Kind::Main,
            quote!(wrkers = 2),
            quote!(
                fn main() {}
            ),
        );
        assert!(text.contains("unknown option `wrkers`"), "{text}");
        assert!(text.contains("fn main"), "{text}");
    }

    #[test]
    fn unsafe_and_extern_functions_are_refused() {
        for function in [
            quote!(
                extern "C" fn main() {}
            ),
            quote!(
                const fn main() {}
            ),
            quote!(
                unsafe fn main() {}
            ),
        ] {
            let text = expanded(Kind::Main, quote!(), function);
            assert!(text.contains("compile_error"), "{text}");
        }
    }

    #[test]
    fn what_is_no_function_is_refused() {
        for item in [
            quote!(
                struct Main;
            ),
            quote!(
                fn main();
            ),
            quote!(
                mod main {}
            ),
        ] {
            let text = expanded(Kind::Main, quote!(), item);
            assert!(text.contains("compile_error"), "{text}");
        }
    }

    #[test]
    fn idents_that_are_keywords_survive() {
        let ident: syn::Ident = syn::parse_quote!(r#match);
        let text = expanded(Kind::Test, quote!(), quote!(fn #ident() {}));
        assert!(text.contains("fn r#match"), "{text}");
    }
}
