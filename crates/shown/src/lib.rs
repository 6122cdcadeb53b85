//! What people are shown of jobs, in words and pictures: the same in a terminal and on a web page.
//! Pure: values go in, text comes out.
#![forbid(unsafe_code)]

pub mod graph;
pub mod notice;
pub mod statusline;
pub mod timeline;
pub mod words;
