//! The client itself: it is content with a server that is right, and tells what is wrong with one that isn't.

mod right;
mod wrong;
