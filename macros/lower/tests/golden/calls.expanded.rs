#[allow(non_camel_case_types, missing_debug_implementations, clippy::all)]
#[repr(C)]
struct numbers<T>
where
    T: Plain,
    T: From<u8>,
    T: Copy,
{
    pc: u32,
    count: ::vk::rt::Slot<usize>,
    outer_deadline: ::vk::rt::Slot<[u64; 2]>,
    range: ::vk::rt::Slot<::core::ops::Range<usize>>,
    place: ::vk::rt::Slot<usize>,
    value: ::vk::rt::Slot<u8>,
    callee: ::vk::rt::Overlay<http::number>,
    generics: ::core::marker::PhantomData<fn() -> (*const T,)>,
}
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::undocumented_unsafe_blocks,
    unreachable_code,
    unused_assignments,
    unused_braces,
    unused_labels,
    unused_mut,
    unused_parens,
    unused_unsafe,
    unused_variables,
    unused_qualifications,
    non_snake_case
)]
unsafe impl<T> ::vk::rt::Frame for numbers<T>
where
    T: Plain,
    T: From<u8>,
    T: Copy,
{
    const FIELDS: &'static [::vk::rt::Field] = &[
        ::vk::rt::Field::of::<usize>("count", ::core::mem::offset_of!(Self, count)),
        ::vk::rt::Field::of::<
            [u64; 2],
        >("io.deadline", ::core::mem::offset_of!(Self, outer_deadline)),
        ::vk::rt::Field::of::<
            ::core::ops::Range<usize>,
        >("range", ::core::mem::offset_of!(Self, range)),
        ::vk::rt::Field::of::<usize>("place", ::core::mem::offset_of!(Self, place)),
        ::vk::rt::Field::of::<u8>("value", ::core::mem::offset_of!(Self, value)),
    ];
    const LAYOUT: u64 = ::vk::rt::layout::<
        Self,
    >(&[::vk::rt::layout_of::<http::number>()]);
    const BODY: u64 = ::vk::rt::hash::numbers(
        &[10734060599168605992u64, ::vk::rt::body_of::<http::number>()],
    );
}
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::undocumented_unsafe_blocks,
    unreachable_code,
    unused_assignments,
    unused_braces,
    unused_labels,
    unused_mut,
    unused_parens,
    unused_unsafe,
    unused_variables,
    unused_qualifications,
    non_snake_case
)]
impl<T> numbers<T>
where
    T: Plain,
    T: From<u8>,
    T: Copy,
{
    #[doc(hidden)]
    #[inline]
    fn enter(&mut self) {
        self.pc = 0;
    }
    #[doc(hidden)]
    #[inline]
    fn resume<'a>(
        &mut self,
        io: &mut Io,
        count: usize,
        list: &'a mut [T],
    ) -> ::vk::rt::Poll<io::Result<&'a [T]>> {
        if self.pc == 0 {
            self.count.write(count);
        }
        Self::step(self, io, list)
    }
    fn step<'a>(
        frame: &mut Self,
        io: &mut Io,
        list: &'a mut [T],
    ) -> ::vk::rt::Poll<io::Result<&'a [T]>> {
        let result = Self::step_run(frame, io, list);
        if result.is_ready() {
            io.deadline_restore(*unsafe { frame.outer_deadline.get() });
        }
        result
    }
    fn step_run<'a>(
        frame: &mut Self,
        io: &mut Io,
        list: &'a mut [T],
    ) -> ::vk::rt::Poll<io::Result<&'a [T]>> {
        let mut pc = frame.pc;
        frame.pc = ::vk::rt::DONE;
        'run: loop {
            'blocks: {
                'b6: {
                    'b5: {
                        'b4: {
                            'b2: {
                                'b1: {
                                    match pc {
                                        0 => {}
                                        1 => break 'b1,
                                        2 => break 'b2,
                                        4 => break 'b4,
                                        5 => break 'b5,
                                        _ => ::vk::rt::resumed_after_end("numbers"),
                                    }
                                    {
                                        frame.outer_deadline.write(io.deadline_mark());
                                    }
                                }
                                {
                                    let count = unsafe { frame.count.get() };
                                    (match io.deadline(Duration::from_secs(5)) {
                                        ::vk::rt::Poll::Ready(value) => value,
                                        ::vk::rt::Poll::Pending => {
                                            frame.pc = 1;
                                            return ::vk::rt::Poll::Pending;
                                        }
                                    })?;
                                    let range = frame.range.write(0..(*count));
                                }
                            }
                            {
                                let range = unsafe { frame.range.get() };
                                match ::core::iter::Iterator::next(range) {
                                    ::core::option::Option::Some(place) => {
                                        let place = &*frame.place.write(place);
                                    }
                                    ::core::option::Option::None => {
                                        break 'b6;
                                    }
                                };
                            }
                            {
                                unsafe { frame.callee.first() }.enter();
                            }
                        }
                        {
                            let count = unsafe { frame.count.get() };
                            let place = &*unsafe { frame.place.get() };
                            let value = &*frame
                                .value
                                .write(
                                    (match unsafe { frame.callee.first() }
                                        .resume(io, &mut (*count))
                                    {
                                        ::vk::rt::Poll::Ready(value) => value,
                                        ::vk::rt::Poll::Pending => {
                                            frame.pc = 4;
                                            return ::vk::rt::Poll::Pending;
                                        }
                                    })? + 1,
                                );
                            list[(*place)] = (*value).into();
                        }
                    }
                    {
                        let count = unsafe { frame.count.get() };
                        let value = &*unsafe { frame.value.get() };
                        (match io
                            .write_fmt(
                                ::core::format_args!(
                                    "{value} of {count}\n", count = (* count), value = (* value)
                                ),
                            )
                        {
                            ::vk::rt::Poll::Ready(value) => value,
                            ::vk::rt::Poll::Pending => {
                                frame.pc = 5;
                                return ::vk::rt::Poll::Pending;
                            }
                        })?;
                        {
                            pc = 2;
                            continue 'run;
                        };
                    }
                }
                {
                    return ::vk::rt::Poll::Ready(Ok(list));
                }
            }
        }
    }
}
impl<const N: usize> Session<N> {
    fn new() -> Self {
        Session { lines: 0 }
    }
    /// Answers one request.
    #[allow(clippy::all)]
    pub fn handle(
        &mut self,
        io: &mut Io,
        limit: u32,
        frame: &mut __Session_handle<N>,
    ) -> ::vk::rt::Poll<Option<u32>> {
        if frame.pc == 0 {
            frame.limit.write(limit);
        }
        Self::__handle_step(self, frame, io)
    }
    #[doc(hidden)]
    #[allow(
        clippy::all,
        clippy::pedantic,
        clippy::nursery,
        clippy::undocumented_unsafe_blocks,
        unreachable_code,
        unused_assignments,
        unused_braces,
        unused_labels,
        unused_mut,
        unused_parens,
        unused_unsafe,
        unused_variables,
        unused_qualifications,
        non_snake_case
    )]
    #[inline]
    fn __handle_step(
        &mut self,
        frame: &mut __Session_handle<N>,
        io: &mut Io,
    ) -> ::vk::rt::Poll<Option<u32>> {
        let mut pc = frame.pc;
        frame.pc = ::vk::rt::DONE;
        'run: loop {
            'blocks: {
                'b2: {
                    'b1: {
                        match pc {
                            0 => {}
                            1 => break 'b1,
                            2 => break 'b2,
                            _ => ::vk::rt::resumed_after_end("__Session_handle"),
                        }
                        {
                            unsafe { frame.callee.first() }.enter();
                        }
                    }
                    {
                        let request = &*frame
                            .request
                            .write(
                                (match (match self.read(io, unsafe { frame.callee.first() })
                                {
                                    ::vk::rt::Poll::Ready(value) => value,
                                    ::vk::rt::Poll::Pending => {
                                        frame.pc = 1;
                                        return ::vk::rt::Poll::Pending;
                                    }
                                }) {
                                    ::core::option::Option::Some(value) => value,
                                    ::core::option::Option::None => {
                                        return ::vk::rt::Poll::Ready(::core::option::Option::None);
                                    }
                                }),
                            );
                        self.lines += 1;
                        unsafe { frame.callee.left().first() }.enter();
                    }
                }
                {
                    let limit = &*unsafe { frame.limit.get() };
                    let request = &*unsafe { frame.request.get() };
                    if self.lines > (*limit)
                        || !(match (match (*request)
                            .more(io, unsafe { frame.callee.left().first() })
                        {
                            ::vk::rt::Poll::Ready(value) => value,
                            ::vk::rt::Poll::Pending => {
                                frame.pc = 2;
                                return ::vk::rt::Poll::Pending;
                            }
                        }) {
                            ::core::option::Option::Some(value) => value,
                            ::core::option::Option::None => {
                                return ::vk::rt::Poll::Ready(::core::option::Option::None);
                            }
                        })
                    {
                        return ::vk::rt::Poll::Ready(None);
                    }
                    return ::vk::rt::Poll::Ready(Some(self.lines));
                }
            }
        }
    }
    #[allow(clippy::all)]
    fn read(
        &mut self,
        io: &mut Io,
        frame: &mut __Session_read<N>,
    ) -> ::vk::rt::Poll<Option<Request>> {
        Self::__read_step(self, frame, io)
    }
    #[doc(hidden)]
    #[allow(
        clippy::all,
        clippy::pedantic,
        clippy::nursery,
        clippy::undocumented_unsafe_blocks,
        unreachable_code,
        unused_assignments,
        unused_braces,
        unused_labels,
        unused_mut,
        unused_parens,
        unused_unsafe,
        unused_variables,
        unused_qualifications,
        non_snake_case
    )]
    #[inline]
    fn __read_step(
        &mut self,
        frame: &mut __Session_read<N>,
        io: &mut Io,
    ) -> ::vk::rt::Poll<Option<Request>> {
        let mut pc = frame.pc;
        frame.pc = ::vk::rt::DONE;
        'run: loop {
            'blocks: {
                'b2: {
                    'b1: {
                        match pc {
                            0 => {}
                            1 => break 'b1,
                            2 => break 'b2,
                            _ => ::vk::rt::resumed_after_end("__Session_read"),
                        }
                        {
                            unsafe { frame.callee.first() }.enter();
                        }
                    }
                    {
                        (match Self::skip(self, io, unsafe { frame.callee.first() }) {
                            ::vk::rt::Poll::Ready(value) => value,
                            ::vk::rt::Poll::Pending => {
                                frame.pc = 1;
                                return ::vk::rt::Poll::Pending;
                            }
                        });
                    }
                }
                {
                    return ::vk::rt::Poll::Ready(
                        Some(
                            Request::of(
                                (match (match io.read_line(&mut self.line) {
                                    ::vk::rt::Poll::Ready(value) => value,
                                    ::vk::rt::Poll::Pending => {
                                        frame.pc = 2;
                                        return ::vk::rt::Poll::Pending;
                                    }
                                })
                                    .ok()
                                {
                                    ::core::option::Option::Some(value) => value,
                                    ::core::option::Option::None => {
                                        return ::vk::rt::Poll::Ready(::core::option::Option::None);
                                    }
                                }),
                            ),
                        ),
                    );
                }
            }
        }
    }
    #[allow(clippy::all)]
    fn skip(&self, io: &mut Io, frame: &mut __Session_skip<N>) -> ::vk::rt::Poll<()> {
        Self::__skip_step(self, frame, io)
    }
    #[doc(hidden)]
    #[allow(
        clippy::all,
        clippy::pedantic,
        clippy::nursery,
        clippy::undocumented_unsafe_blocks,
        unreachable_code,
        unused_assignments,
        unused_braces,
        unused_labels,
        unused_mut,
        unused_parens,
        unused_unsafe,
        unused_variables,
        unused_qualifications,
        non_snake_case
    )]
    #[inline]
    fn __skip_step(
        &self,
        frame: &mut __Session_skip<N>,
        io: &mut Io,
    ) -> ::vk::rt::Poll<()> {
        let mut pc = frame.pc;
        frame.pc = ::vk::rt::DONE;
        'run: loop {
            'blocks: {
                'b1: {
                    match pc {
                        0 => {}
                        1 => break 'b1,
                        _ => ::vk::rt::resumed_after_end("__Session_skip"),
                    }
                    {}
                }
                {
                    return ::vk::rt::Poll::Ready({
                        let _ = (match io.skip(2) {
                            ::vk::rt::Poll::Ready(value) => value,
                            ::vk::rt::Poll::Pending => {
                                frame.pc = 1;
                                return ::vk::rt::Poll::Pending;
                            }
                        });
                    });
                }
            }
        }
    }
}
#[doc(hidden)]
#[allow(non_camel_case_types, missing_debug_implementations, clippy::all)]
#[repr(C)]
pub struct __Session_handle<const N: usize> {
    pc: u32,
    limit: ::vk::rt::Slot<u32>,
    request: ::vk::rt::Slot<Request>,
    callee: ::vk::rt::Overlay<
        <Session<N> as ::vk::rt::Method<5541207787354052101u64>>::Frame,
        ::vk::rt::Overlay<<Request as ::vk::rt::Method<944603233123352704u64>>::Frame>,
    >,
}
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::undocumented_unsafe_blocks,
    unreachable_code,
    unused_assignments,
    unused_braces,
    unused_labels,
    unused_mut,
    unused_parens,
    unused_unsafe,
    unused_variables,
    unused_qualifications,
    non_snake_case
)]
unsafe impl<const N: usize> ::vk::rt::Frame for __Session_handle<N> {
    const FIELDS: &'static [::vk::rt::Field] = &[
        ::vk::rt::Field::of::<u32>("limit", ::core::mem::offset_of!(Self, limit)),
        ::vk::rt::Field::of::<Request>("request", ::core::mem::offset_of!(Self, request)),
    ];
    const LAYOUT: u64 = ::vk::rt::layout::<
        Self,
    >(
        &[
            ::vk::rt::layout_of::<
                <Session<N> as ::vk::rt::Method<5541207787354052101u64>>::Frame,
            >(),
            ::vk::rt::layout_of::<
                <Request as ::vk::rt::Method<944603233123352704u64>>::Frame,
            >(),
        ],
    );
    const BODY: u64 = ::vk::rt::hash::numbers(
        &[
            14466287161269115753u64,
            N as u64,
            ::vk::rt::body_of::<
                <Session<N> as ::vk::rt::Method<5541207787354052101u64>>::Frame,
            >(),
            ::vk::rt::body_of::<
                <Request as ::vk::rt::Method<944603233123352704u64>>::Frame,
            >(),
        ],
    );
}
impl<const N: usize> __Session_handle<N> {
    #[doc(hidden)]
    #[inline]
    pub fn enter(&mut self) {
        self.pc = 0;
    }
}
impl<const N: usize> ::vk::rt::Method<12996100709080792371u64> for Session<N> {
    type Frame = __Session_handle<N>;
}
#[doc(hidden)]
#[allow(non_camel_case_types, missing_debug_implementations, clippy::all)]
#[repr(C)]
pub struct __Session_read<const N: usize> {
    pc: u32,
    callee: ::vk::rt::Overlay<
        <Session<N> as ::vk::rt::Method<4547011751780739330u64>>::Frame,
    >,
}
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::undocumented_unsafe_blocks,
    unreachable_code,
    unused_assignments,
    unused_braces,
    unused_labels,
    unused_mut,
    unused_parens,
    unused_unsafe,
    unused_variables,
    unused_qualifications,
    non_snake_case
)]
unsafe impl<const N: usize> ::vk::rt::Frame for __Session_read<N> {
    const FIELDS: &'static [::vk::rt::Field] = &[];
    const LAYOUT: u64 = ::vk::rt::layout::<
        Self,
    >(
        &[
            ::vk::rt::layout_of::<
                <Session<N> as ::vk::rt::Method<4547011751780739330u64>>::Frame,
            >(),
        ],
    );
    const BODY: u64 = ::vk::rt::hash::numbers(
        &[
            2428514147331549772u64,
            N as u64,
            ::vk::rt::body_of::<
                <Session<N> as ::vk::rt::Method<4547011751780739330u64>>::Frame,
            >(),
        ],
    );
}
impl<const N: usize> __Session_read<N> {
    #[doc(hidden)]
    #[inline]
    pub fn enter(&mut self) {
        self.pc = 0;
    }
}
impl<const N: usize> ::vk::rt::Method<5541207787354052101u64> for Session<N> {
    type Frame = __Session_read<N>;
}
#[doc(hidden)]
#[allow(non_camel_case_types, missing_debug_implementations, clippy::all)]
#[repr(C)]
pub struct __Session_skip<const N: usize> {
    pc: u32,
}
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::undocumented_unsafe_blocks,
    unreachable_code,
    unused_assignments,
    unused_braces,
    unused_labels,
    unused_mut,
    unused_parens,
    unused_unsafe,
    unused_variables,
    unused_qualifications,
    non_snake_case
)]
unsafe impl<const N: usize> ::vk::rt::Frame for __Session_skip<N> {
    const FIELDS: &'static [::vk::rt::Field] = &[];
    const LAYOUT: u64 = ::vk::rt::layout::<Self>(&[]);
    const BODY: u64 = ::vk::rt::hash::numbers(&[1125406135234147501u64, N as u64]);
}
impl<const N: usize> __Session_skip<N> {
    #[doc(hidden)]
    #[inline]
    pub fn enter(&mut self) {
        self.pc = 0;
    }
}
impl<const N: usize> ::vk::rt::Method<4547011751780739330u64> for Session<N> {
    type Frame = __Session_skip<N>;
}
