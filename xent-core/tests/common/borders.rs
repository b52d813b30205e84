//! Slices that begin or end where memory that cannot be touched begins: a load or store beside one
//! ends the process.
#![allow(unsafe_code, reason = "pages without access, and slices inside the one between them")]
#![cfg_attr(miri, allow(dead_code, reason = "Miri has no pages"))]

use std::ops::{Deref, DerefMut};

/// Where a check keeps its inputs and outputs.
pub(crate) trait Memory: DerefMut<Target = [f32]> {
    fn of(values: &[f32]) -> Self;

    fn zeros(n: usize) -> Self
    where
        Self: Sized,
    {
        Self::of(&vec![0.0; n])
    }
}

impl Memory for Vec<f32> {
    fn of(values: &[f32]) -> Self {
        values.to_vec()
    }
}

/// Between two pages without access: at the end of what lies between if `AT_END`, else at its start.
pub(crate) struct Bordered<const AT_END: bool> {
    pages: region::Allocation,
    /// Of the slice, in bytes from the first page.
    start: usize,
    len: usize,
}

pub(crate) type AtStart = Bordered<false>;
pub(crate) type AtEnd = Bordered<true>;

impl<const AT_END: bool> Memory for Bordered<AT_END> {
    fn of(values: &[f32]) -> Self {
        let page = region::page::size();
        let bytes = size_of_val(values);
        let inner = bytes.next_multiple_of(page);
        let pages = region::alloc(page + inner + page, region::Protection::READ_WRITE).unwrap();
        for border in [0, page + inner] {
            let border = pages.as_ptr::<u8>().wrapping_add(border);
            // SAFETY: the page is inside the allocation, and nothing points into it.
            unsafe { region::protect(border, page, region::Protection::NONE) }.unwrap();
        }
        let start = if AT_END { page + inner - bytes } else { page };
        let mut memory = Bordered { pages, start, len: values.len() };
        memory.copy_from_slice(values);
        memory
    }
}

impl<const AT_END: bool> Deref for Bordered<AT_END> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        let first = self.pages.as_ptr::<u8>().wrapping_add(self.start);
        // SAFETY: `len` f32 lie there between the borders, as aligned as pages are, zeros at first.
        unsafe { std::slice::from_raw_parts(first.cast(), self.len) }
    }
}

impl<const AT_END: bool> DerefMut for Bordered<AT_END> {
    fn deref_mut(&mut self) -> &mut [f32] {
        let first = self.pages.as_mut_ptr::<u8>().wrapping_add(self.start);
        // SAFETY: as in `deref`; `self` is borrowed as long as the slice is.
        unsafe { std::slice::from_raw_parts_mut(first.cast(), self.len) }
    }
}
