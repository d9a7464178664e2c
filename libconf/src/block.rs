//! The grammar: words, statements and blocks, before anything is known of their meaning.

use crate::fault::{Faults, shown};
use alloc::format;
use alloc::vec::Vec;
use core::iter::Peekable;
use core::ops::Range;

/// Most blocks of a text, classes and services together.
pub const MAX_BLOCKS: usize = 512;
/// Most arguments of a statement.
pub const MAX_ARGUMENTS: usize = 256;
/// How a merge that left a conflict marks it; see `mkimage migrate`.
pub const CONFLICT_MARKS: [&str; 3] = ["<<<<<<<", "=======", ">>>>>>>"];

/// `service NAME { ... };` or `class NAME { ... };`.
#[derive(Clone, Debug)]
pub struct Block<'t> {
    /// Whether it describes no service of its own.
    pub is_class: bool,
    /// Its name.
    pub name: Word<'t>,
    /// What stands in it.
    pub statements: Vec<Statement<'t>>,
    /// The bytes of the text that are its own, from its first word to its last semicolon.
    pub range: Range<usize>,
}

/// `KEYWORD ARGUMENT...;`.
#[derive(Clone, Debug)]
pub struct Statement<'t> {
    /// What it sets.
    pub keyword: Word<'t>,
    /// To what.
    pub arguments: Vec<Word<'t>>,
}

/// A word, or a text in quotes.
#[derive(Clone, Copy, Debug)]
pub struct Word<'t> {
    /// Itself, without quotes.
    pub text: &'t str,
    /// Its first byte in the text of the file.
    pub at: usize,
    /// Whether it stands in quotes.
    pub quoted: bool,
}

#[derive(Clone, Copy, Debug)]
enum Token<'t> {
    Word(Word<'t>),
    Open(usize),
    Close(usize),
    End(usize),
}

impl Token<'_> {
    fn at(self) -> usize {
        match self {
            Self::Word(word) => word.at,
            Self::Open(at) | Self::Close(at) | Self::End(at) => at,
        }
    }

    fn starts_block(self) -> bool {
        matches!(self, Self::Word(Word { text: "service" | "class", quoted: false, .. }))
    }
}

/// What a statement turns out to be.
enum Found<'t> {
    Statement(Statement<'t>),
    /// A block begins at this byte, within another one.
    Block(usize),
}

/// Cuts a text into tokens.
struct Tokens<'t, 'f> {
    text: &'t str,
    next: usize,
    faults: &'f mut Faults,
}

impl<'t> Iterator for Tokens<'t, '_> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            let at = self.next;
            let rest = self.text.get(at..)?;
            let first = rest.chars().next()?;
            let len = match first {
                '#' => rest.find('\n').unwrap_or(rest.len()),
                first if first.is_whitespace() => first.len_utf8(),
                '{' | '}' | ';' | '"' => break Some(self.mark(at, first)),
                _ => {
                    let ends = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"' | '#');
                    let text = &rest[..rest.find(ends).unwrap_or(rest.len())];
                    self.next = at + text.len();
                    break Some(Token::Word(Word { text, at, quoted: false }));
                }
            };
            self.next = at + len;
        }
    }
}

impl<'t> Tokens<'t, '_> {
    fn mark(&mut self, at: usize, mark: char) -> Token<'t> {
        self.next = at + mark.len_utf8();
        match mark {
            '{' => Token::Open(at),
            '}' => Token::Close(at),
            ';' => Token::End(at),
            _ => {
                let rest = &self.text[self.next..];
                let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
                let text = match line.find('"') {
                    Some(end) => &line[..end],
                    None => {
                        self.faults.add(at, "this text does not end: put a quote at its end, on the same line");
                        line.trim_end().trim_end_matches(';')
                    }
                };
                self.next += text.len() + usize::from(line[text.len()..].starts_with('"'));
                Token::Word(Word { text, at, quoted: true })
            }
        }
    }
}

struct Parser<'t, 'f, 'p> {
    tokens: Peekable<Tokens<'t, 'f>>,
    /// Apart from those of the tokens, which are being made at the same time.
    faults: &'p mut Faults,
    end: usize,
}

/// The blocks of a text; what is no block is a fault.
pub(crate) fn blocks<'t>(text: &'t str, faults: &mut Faults) -> Vec<Block<'t>> {
    let mut in_tokens = Faults::default();
    let tokens = Tokens { text, next: 0, faults: &mut in_tokens }.peekable();
    let mut parser = Parser { tokens, faults, end: text.len() };
    let mut blocks = Vec::new();
    while let Some(token) = parser.tokens.peek().copied() {
        match parser.block(token) {
            Some(block) if blocks.len() == MAX_BLOCKS => {
                parser.faults.add(block.range.start, format!("a policy has at most {MAX_BLOCKS} blocks"));
                break;
            }
            Some(block) => blocks.push(block),
            None => {}
        }
    }
    faults.append(in_tokens);
    blocks
}

impl<'t> Parser<'t, '_, '_> {
    /// One block, from its first token on. Always takes a token.
    fn block(&mut self, first: Token<'t>) -> Option<Block<'t>> {
        self.tokens.next();
        let is_class = match first {
            Token::Word(word) if first.starts_block() => word.text == "class",
            other => return self.no_block(other),
        };
        let Some(name) = self.tokens.next_if(|t| matches!(t, Token::Word(_))) else {
            let at = self.next_at();
            return self.skip(at, "a name is missing: write `service NAME { ... };`");
        };
        let Token::Word(name) = name else { return None };
        if self.tokens.next_if(|t| matches!(t, Token::Open(_))).is_none() {
            let at = self.next_at();
            return self.skip(at, &format!("`{{` is missing after the name `{}`", shown(name.text)));
        }
        let mut block = Block { is_class, name, statements: Vec::new(), range: first.at()..self.end };
        loop {
            match self.tokens.peek().copied() {
                None => {
                    let message = format!("the block `{}` does not end: put `}};` behind it", shown(name.text));
                    self.faults.add(first.at(), message);
                    return Some(block);
                }
                Some(Token::Close(at)) => {
                    self.tokens.next();
                    block.range.end = at + 1;
                    match self.tokens.next_if(|t| matches!(t, Token::End(_))) {
                        Some(end) => block.range.end = end.at() + 1,
                        None => self.faults.add(at, "`;` is missing after this `}`"),
                    }
                    return Some(block);
                }
                Some(Token::Word(_)) => match self.statement() {
                    Some(Found::Statement(statement)) => block.statements.push(statement),
                    Some(Found::Block(at)) => {
                        let message = format!("a block within `{}`: end that by `}};` before", shown(name.text));
                        self.faults.add(at, message);
                        self.skip_block();
                        return Some(block);
                    }
                    None => {}
                },
                Some(other) => {
                    self.tokens.next();
                    self.faults.add(other.at(), "a keyword is missing here");
                }
            }
        }
    }

    /// One statement, from its keyword to its semicolon.
    fn statement(&mut self) -> Option<Found<'t>> {
        let Some(Token::Word(keyword)) = self.tokens.next() else { return None };
        let mut arguments = Vec::new();
        while let Some(token) = self.tokens.peek().copied() {
            match token {
                Token::Word(word) if arguments.len() < MAX_ARGUMENTS => arguments.push(word),
                Token::Word(word) => {
                    if arguments.len() == MAX_ARGUMENTS {
                        let message = format!("a statement has at most {MAX_ARGUMENTS} arguments: is a `;` missing?");
                        self.faults.add(word.at, message);
                        arguments.push(word);
                    }
                }
                Token::End(_) => {
                    self.tokens.next();
                    break;
                }
                Token::Open(_) if Token::Word(keyword).starts_block() && arguments.len() == 1 => {
                    return Some(Found::Block(keyword.at));
                }
                Token::Open(at) => {
                    self.tokens.next();
                    self.tokens.next_if(|t| matches!(t, Token::End(_)));
                    self.faults.add(at, "no `{` can stand here: statements end by `;`");
                    return None;
                }
                Token::Close(at) => {
                    self.faults.add(at, format!("`;` is missing before this `}}`, after `{}`", shown(keyword.text)));
                    break;
                }
            }
            self.tokens.next();
        }
        Some(Found::Statement(Statement { keyword, arguments }))
    }

    fn no_block(&mut self, found: Token<'t>) -> Option<Block<'t>> {
        match found {
            Token::Word(word) if CONFLICT_MARKS.contains(&word.text) => self.skip(
                word.at,
                "a merge left a conflict here: keep one of the two texts, and remove the lines that mark them",
            ),
            Token::Word(word) => {
                let message = format!(
                    "`{}` begins no block: write `service NAME {{ ... }};` or `class NAME {{ ... }};`",
                    shown(word.text)
                );
                self.skip(word.at, &message)
            }
            other => self.skip(other.at(), "a block begins with `service NAME {` or `class NAME {`"),
        }
    }

    fn skip(&mut self, at: usize, message: &str) -> Option<Block<'t>> {
        self.faults.add(at, message);
        self.skip_block();
        None
    }

    /// Leaves out all up to the next thing that looks like the start of a block.
    fn skip_block(&mut self) {
        let mut at_start = false;
        while let Some(token) = self.tokens.peek().copied() {
            if at_start && token.starts_block() {
                return;
            }
            at_start = matches!(token, Token::Close(_)) || at_start && matches!(token, Token::End(_));
            self.tokens.next();
        }
    }

    fn next_at(&mut self) -> usize {
        self.tokens.peek().map_or(self.end, |token| token.at())
    }
}
