#[allow(non_camel_case_types, missing_debug_implementations, clippy::all)]
#[repr(C)]
struct control {
    pc: u32,
    n: ::vk::rt::Slot<u32>,
    total: ::vk::rt::Slot<u32>,
    kind: ::vk::rt::Slot<u32>,
    n_2: ::vk::rt::Slot<u32>,
    limit: ::vk::rt::Slot<u32>,
    index: ::vk::rt::Slot<usize>,
    byte: ::vk::rt::Slot<u8>,
    callee: ::vk::rt::Overlay<next, ::vk::rt::Overlay<wait>, ::vk::rt::Overlay<confirm>>,
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
unsafe impl ::vk::rt::Frame for control {
    const FIELDS: &'static [::vk::rt::Field] = &[
        ::vk::rt::Field::of::<u32>("n", ::core::mem::offset_of!(Self, n)),
        ::vk::rt::Field::of::<u32>("total", ::core::mem::offset_of!(Self, total)),
        ::vk::rt::Field::of::<u32>("kind", ::core::mem::offset_of!(Self, kind)),
        ::vk::rt::Field::of::<u32>("n_2", ::core::mem::offset_of!(Self, n_2)),
        ::vk::rt::Field::of::<u32>("limit", ::core::mem::offset_of!(Self, limit)),
        ::vk::rt::Field::of::<usize>("index", ::core::mem::offset_of!(Self, index)),
        ::vk::rt::Field::of::<u8>("byte", ::core::mem::offset_of!(Self, byte)),
    ];
    const LAYOUT: u64 = ::vk::rt::layout::<
        Self,
    >(
        &[
            ::vk::rt::layout_of::<next>(),
            ::vk::rt::layout_of::<wait>(),
            ::vk::rt::layout_of::<confirm>(),
        ],
    );
    const BODY: u64 = ::vk::rt::hash::numbers(
        &[
            6840164991418573192u64,
            ::vk::rt::body_of::<next>(),
            ::vk::rt::body_of::<wait>(),
            ::vk::rt::body_of::<confirm>(),
        ],
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
impl control {
    #[doc(hidden)]
    #[inline]
    fn enter(&mut self) {
        self.pc = 0;
    }
    #[doc(hidden)]
    #[inline]
    fn resume(&mut self, io: &mut Io, n: u32) -> ::vk::rt::Poll<io::Result<u32>> {
        if self.pc == 0 {
            self.n.write(n);
        }
        Self::step(self, io)
    }
    fn step(frame: &mut Self, io: &mut Io) -> ::vk::rt::Poll<io::Result<u32>> {
        let mut pc = frame.pc;
        frame.pc = ::vk::rt::DONE;
        'run: loop {
            'blocks: {
                'b16: {
                    'b15: {
                        'b14: {
                            'b12: {
                                'b10: {
                                    'b9: {
                                        'b8: {
                                            'b7: {
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
                                                                        7 => break 'b7,
                                                                        8 => break 'b8,
                                                                        9 => break 'b9,
                                                                        12 => break 'b12,
                                                                        14 => break 'b14,
                                                                        15 => break 'b15,
                                                                        _ => ::vk::rt::resumed_after_end("control"),
                                                                    }
                                                                    {
                                                                        let total = frame.total.write(0);
                                                                    }
                                                                }
                                                                {
                                                                    unsafe { frame.callee.first() }.enter();
                                                                }
                                                            }
                                                            {
                                                                let n = &*unsafe { frame.n.get() };
                                                                match (match unsafe { frame.callee.first() }.resume(io) {
                                                                    ::vk::rt::Poll::Ready(value) => value,
                                                                    ::vk::rt::Poll::Pending => {
                                                                        frame.pc = 2;
                                                                        return ::vk::rt::Poll::Pending;
                                                                    }
                                                                })? {
                                                                    Some(n) if n > 9 => {
                                                                        let n = &*frame.n_2.write(n);
                                                                    }
                                                                    Some(0) => {
                                                                        {
                                                                            pc = 1;
                                                                            continue 'run;
                                                                        };
                                                                    }
                                                                    Some(n) => {
                                                                        frame.kind.write(n);
                                                                        break 'b6;
                                                                    }
                                                                    None => {
                                                                        frame.kind.write((*n));
                                                                        break 'b6;
                                                                    }
                                                                };
                                                            }
                                                            {
                                                                unsafe { frame.callee.left().first() }.enter();
                                                            }
                                                        }
                                                        {
                                                            let n = &*unsafe { frame.n_2.get() };
                                                            (match unsafe { frame.callee.left().first() }
                                                                .resume(io, (*n))
                                                            {
                                                                ::vk::rt::Poll::Ready(value) => value,
                                                                ::vk::rt::Poll::Pending => {
                                                                    frame.pc = 4;
                                                                    return ::vk::rt::Poll::Pending;
                                                                }
                                                            })?;
                                                        }
                                                    }
                                                    {
                                                        let total = unsafe { frame.total.get() };
                                                        (*total)
                                                            += if (*total) > 3
                                                                && (match io.eof() {
                                                                    ::vk::rt::Poll::Ready(value) => value,
                                                                    ::vk::rt::Poll::Pending => {
                                                                        frame.pc = 5;
                                                                        return ::vk::rt::Poll::Pending;
                                                                    }
                                                                })?
                                                            {
                                                                1
                                                            } else {
                                                                (*total)
                                                            };
                                                        {
                                                            pc = 1;
                                                            continue 'run;
                                                        };
                                                    }
                                                }
                                                {
                                                    let kind = &*unsafe { frame.kind.get() };
                                                    let Some(limit) = limit((*kind)) else { { break 'b7 } };
                                                    let limit = &*frame.limit.write(limit);
                                                    let index = frame.index.write(0);
                                                    break 'b8;
                                                }
                                            }
                                            {
                                                (match io.write_all(b"no limit") {
                                                    ::vk::rt::Poll::Ready(value) => value,
                                                    ::vk::rt::Poll::Pending => {
                                                        frame.pc = 7;
                                                        return ::vk::rt::Poll::Pending;
                                                    }
                                                })?;
                                                let _: ::core::convert::Infallible = {
                                                    return ::vk::rt::Poll::Ready(Ok(0));
                                                };
                                            }
                                        }
                                        {
                                            let index = unsafe { frame.index.get() };
                                            match ::vk::rt::nth(b"abc", *index) {
                                                ::core::option::Option::Some(byte) => {
                                                    *index += 1;
                                                    let byte = &*frame.byte.write(*byte);
                                                }
                                                ::core::option::Option::None => {
                                                    break 'b10;
                                                }
                                            };
                                        }
                                    }
                                    {
                                        let byte = &*unsafe { frame.byte.get() };
                                        (match io.write_all(&[(*byte)]) {
                                            ::vk::rt::Poll::Ready(value) => value,
                                            ::vk::rt::Poll::Pending => {
                                                frame.pc = 9;
                                                return ::vk::rt::Poll::Pending;
                                            }
                                        })?;
                                        {
                                            pc = 8;
                                            continue 'run;
                                        };
                                    }
                                }
                                {
                                    let total = unsafe { frame.total.get() };
                                    if check((*total)) {
                                        break 'b15;
                                    } else {};
                                }
                                {
                                    unsafe { frame.callee.right().first() }.enter();
                                }
                            }
                            {
                                let total = unsafe { frame.total.get() };
                                if (match unsafe { frame.callee.right().first() }
                                    .resume(io, (*total))
                                {
                                    ::vk::rt::Poll::Ready(value) => value,
                                    ::vk::rt::Poll::Pending => {
                                        frame.pc = 12;
                                        return ::vk::rt::Poll::Pending;
                                    }
                                })? {} else {
                                    break 'b16;
                                };
                            }
                            {
                                unsafe { frame.callee.right().first() }.enter();
                            }
                        }
                        {
                            let limit = &*unsafe { frame.limit.get() };
                            if !(match unsafe { frame.callee.right().first() }
                                .resume(io, (*limit))
                            {
                                ::vk::rt::Poll::Ready(value) => value,
                                ::vk::rt::Poll::Pending => {
                                    frame.pc = 14;
                                    return ::vk::rt::Poll::Pending;
                                }
                            })? {} else {
                                break 'b16;
                            };
                        }
                    }
                    {
                        (match io.flush() {
                            ::vk::rt::Poll::Ready(value) => value,
                            ::vk::rt::Poll::Pending => {
                                frame.pc = 15;
                                return ::vk::rt::Poll::Pending;
                            }
                        })?;
                    }
                }
                {
                    let total = unsafe { frame.total.get() };
                    let limit = &*unsafe { frame.limit.get() };
                    let text = format!(
                        "{total} of {limit}", limit = (* limit), total = (* total)
                    );
                    return ::vk::rt::Poll::Ready(Ok(text.len() as u32));
                }
            }
        }
    }
}
#[allow(clippy::all)]
impl ::vk::rt::Coroutine for control {
    type Args = (u32,);
    type Output = io::Result<u32>;
    const NAME: &'static str = ::core::concat!(::core::module_path!(), "::", "control");
    const SHAPE: &'static ::vk::rt::Shape = &::vk::rt::Shape {
        fields: <Self as ::vk::rt::Frame>::FIELDS,
        points: &[
            ::vk::rt::Point {
                pc: 2,
                anchor: 16662164870835212081,
                line: ::core::line!(),
                calls: true,
                live: &[0, 1],
            },
            ::vk::rt::Point {
                pc: 4,
                anchor: 5624304728849398267,
                line: ::core::line!(),
                calls: true,
                live: &[0, 1, 3],
            },
            ::vk::rt::Point {
                pc: 5,
                anchor: 11023719626881243436,
                line: ::core::line!(),
                calls: false,
                live: &[0, 1, 3],
            },
            ::vk::rt::Point {
                pc: 7,
                anchor: 17399482791049456495,
                line: ::core::line!(),
                calls: false,
                live: &[0, 1, 2],
            },
            ::vk::rt::Point {
                pc: 9,
                anchor: 13072736601876469011,
                line: ::core::line!(),
                calls: false,
                live: &[0, 1, 2, 4, 5, 6],
            },
            ::vk::rt::Point {
                pc: 12,
                anchor: 11615922569667141696,
                line: ::core::line!(),
                calls: true,
                live: &[0, 1, 2, 4, 5],
            },
            ::vk::rt::Point {
                pc: 14,
                anchor: 12158752023870822339,
                line: ::core::line!(),
                calls: true,
                live: &[0, 1, 2, 4, 5],
            },
            ::vk::rt::Point {
                pc: 15,
                anchor: 1672881573169048544,
                line: ::core::line!(),
                calls: false,
                live: &[0, 1, 2, 4, 5],
            },
        ],
        file: ::core::file!(),
    };
    const ENTRY: ::core::option::Option<
        &'static ::core::option::Option<::vk::rt::Entry>,
    > = ::vk::rt::register!(control);
    #[inline]
    fn start(frame: &mut ::core::mem::MaybeUninit<Self>, args: Self::Args) {
        let frame = unsafe {
            (&raw mut (*frame.as_mut_ptr()).pc).write(0);
            frame.assume_init_mut()
        };
        frame.n.write(args.0);
    }
    #[inline]
    fn resume(&mut self, io: &mut ::vk::rt::Io) -> ::vk::rt::Poll<Self::Output> {
        Self::step(self, io)
    }
}
