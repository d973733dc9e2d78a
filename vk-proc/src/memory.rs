//! Memory that the allocator of the C library keeps.
#![allow(unsafe_code)]

/// Gives free memory back to the kernel, so that a burst of connections is not remembered for ever.
pub fn release() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}
