//! Slabs: one frame, or four adjacent ones for the larger classes, cut into objects of one size.
//!
//! A slab's header lies at its start, so an object's slab is found by masking its address. Objects that were never used are
//! handed out by a moving index, so a new slab costs nothing to set up.

use crate::base::{PAGE_SIZE, SpinLock};
use crate::memory::frames;
use crate::memory::{phys_to_virt, virt_to_phys};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

pub const CLASSES: usize = SIZES.len();
const SIZES: [u16; 14] = [
    16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
];
/// Largest object in a slab.
pub const LARGEST: usize = 2048;
/// The step of the table from size to class.
const STEP: usize = 16;

const CLASS_OF: [u8; LARGEST / STEP + 1] = {
    let mut table = [0; LARGEST / STEP + 1];
    let (mut i, mut class) = (0, 0);
    while i < table.len() {
        if i * STEP > SIZES[class] as usize {
            class += 1;
        }
        table[i] = class as u8;
        i += 1;
    }
    table
};

/// The class for a request, if slabs serve it. Objects are 16-aligned; those of power-of-two size are aligned to it.
#[inline(always)]
pub fn class_for(size: usize, align: usize) -> Option<usize> {
    let size = if align <= STEP {
        size
    } else {
        size.max(align).next_power_of_two()
    };
    CLASS_OF.get(size.div_ceil(STEP)).map(|&c| c as usize)
}

/// What a class looks like in memory.
#[derive(Clone, Copy)]
struct Shape {
    size: u32,
    /// Offset of the first object.
    first: u32,
    objects: u16,
    order: u8,
}

const HEADER: usize = 64;
/// Classes from this one on have slabs of four frames.
const FIRST_WIDE: usize = 11;
const WIDE_ORDER: u8 = 2;
const _: () = assert!(SIZES[FIRST_WIDE] == 1024);

/// Frames of a slab.
#[inline(always)]
fn frames_of(class: usize) -> usize {
    if class < FIRST_WIDE {
        1
    } else {
        1 << WIDE_ORDER
    }
}

/// Where the slab of an object begins: slabs are aligned to their size.
#[inline(always)]
fn slab_of(class: usize, object: *mut u8) -> *mut Slab {
    let size = PAGE_SIZE * frames_of(class);
    object.map_addr(|addr| addr & !(size - 1)).cast()
}

const SHAPES: [Shape; SIZES.len()] = {
    let mut shapes = [Shape {
        size: 0,
        first: 0,
        objects: 0,
        order: 0,
    }; SIZES.len()];
    let mut i = 0;
    while i < SIZES.len() {
        let size = SIZES[i] as usize;
        let order = if i < FIRST_WIDE { 0 } else { WIDE_ORDER };
        let first = if size.is_power_of_two() && size > HEADER {
            size
        } else {
            HEADER
        };
        let objects = ((PAGE_SIZE << order) - first) / size;
        shapes[i] = Shape {
            size: size as u32,
            first: first as u32,
            objects: objects as u16,
            order,
        };
        i += 1;
    }
    shapes
};

/// What the objects of one size take.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// Bytes of an object.
    pub size: usize,
    /// Objects in use.
    pub live: usize,
    /// Objects that fit into a slab.
    pub per_slab: usize,
    /// Frames of a slab.
    pub frames: usize,
    pub slabs: usize,
    /// Slabs that hold no object.
    pub empty: usize,
}

/// At the start of each slab.
#[repr(C)]
struct Slab {
    /// Freed objects, linked through their first word.
    free: *mut *mut u8,
    /// Neighbours in the class's list of slabs with room.
    next: *mut Slab,
    prev: *mut Slab,
    /// Objects in use.
    used: u16,
    /// Objects from this index on were never used.
    fresh: u16,
    /// Objects that fit.
    objects: u16,
}

const _: () = assert!(size_of::<Slab>() <= HEADER);

/// The slabs with room of one class. Leaf lock but for the frame allocator's.
#[repr(align(64))]
struct Class {
    with_room: SpinLock<Room>,
}

struct Room {
    first: *mut Slab,
    /// Slabs in the list with no object in use.
    empty: u32,
    /// Slabs in all, those without room among them.
    slabs: u32,
}

// SAFETY: the pointers are to slabs, which belong to the class and are reached under its lock only.
unsafe impl Send for Room {}

pub struct Slabs {
    classes: [Class; SIZES.len()],
    idle: AtomicUsize,
}

impl Class {
    const fn new() -> Self {
        Class {
            with_room: SpinLock::new(Room {
                first: null_mut(),
                empty: 0,
                slabs: 0,
            }),
        }
    }
}

impl Slabs {
    pub const fn new() -> Self {
        Slabs {
            classes: [const { Class::new() }; SIZES.len()],
            idle: AtomicUsize::new(0),
        }
    }

    /// Frames in empty slabs.
    pub fn idle_frames(&self) -> usize {
        self.idle.load(Ordering::Relaxed)
    }

    /// What the objects of a class take.
    pub fn usage(&self, class: usize) -> Usage {
        let shape = &SHAPES[class];
        let room = self.classes[class].with_room.lock();
        let (mut with_room, mut used) = (0, 0);
        let mut at = room.first;
        while !at.is_null() {
            // SAFETY: the list holds live slabs, and the class is locked.
            let slab = unsafe { &*at };
            with_room += 1;
            used += slab.used as usize;
            at = slab.next;
        }
        let slabs = room.slabs as usize;
        Usage {
            size: shape.size as usize,
            live: (slabs - with_room) * shape.objects as usize + used,
            per_slab: shape.objects as usize,
            frames: 1 << shape.order,
            slabs,
            empty: room.empty as usize,
        }
    }

    /// An object that was used before, of a slab that has room for more: what most requests find. Else null.
    #[inline(always)]
    pub fn alloc_quick(&self, class: usize) -> *mut u8 {
        let mut room = self.classes[class].with_room.lock();
        // SAFETY: the list holds live slabs, and the class is locked.
        let Some(slab) = (unsafe { room.first.as_mut() }) else {
            return null_mut();
        };
        let object = slab.free;
        if object.is_null() || slab.used + 1 == slab.objects {
            return null_mut();
        }
        if slab.used == 0 {
            room.empty -= 1;
            self.idle.fetch_sub(frames_of(class), Ordering::Relaxed);
        }
        slab.used += 1;
        // SAFETY: the first word of a free object is the link to the next.
        slab.free = unsafe { *object }.cast();
        object.cast()
    }

    /// Frees an object if its slab stays in the list, as most do; says whether it did.
    ///
    /// # Safety
    /// `object` came from this class and is no longer used.
    #[inline(always)]
    pub unsafe fn free_quick(&self, class: usize, object: *mut u8) -> bool {
        let slab = slab_of(class, object);
        let mut room = self.classes[class].with_room.lock();
        // SAFETY: the header of a live slab; the class is locked.
        let slab = unsafe { &mut *slab };
        if slab.used == slab.objects || slab.used == 1 && room.empty > 0 {
            return false;
        }
        slab.used -= 1;
        if slab.used == 0 {
            room.empty = 1;
            self.idle.fetch_add(frames_of(class), Ordering::Relaxed);
        }
        let link = object.cast::<*mut u8>();
        // SAFETY: the object is free: its first word is ours.
        unsafe { *link = slab.free.cast() };
        slab.free = link;
        true
    }

    /// An object, or null.
    pub fn alloc(&self, class: usize) -> *mut u8 {
        let shape = &SHAPES[class];
        let mut room = self.classes[class].with_room.lock();
        if room.first.is_null() && !self.add_slab(&mut room, shape) {
            return null_mut();
        }
        // SAFETY: the list holds live slabs with at least one free object, and the class is locked.
        unsafe {
            let slab = &mut *room.first;
            if slab.used == 0 {
                room.empty -= 1;
                self.idle.fetch_sub(1 << shape.order, Ordering::Relaxed);
            }
            slab.used += 1;
            let object = if slab.free.is_null() {
                let index = slab.fresh as usize;
                slab.fresh += 1;
                room.first
                    .cast::<u8>()
                    .add(shape.first as usize + index * shape.size as usize)
            } else {
                let object = slab.free;
                slab.free = (*object).cast();
                object.cast()
            };
            if slab.used == shape.objects {
                room.remove(slab);
            }
            object
        }
    }

    #[cold]
    fn add_slab(&self, room: &mut Room, shape: &Shape) -> bool {
        let Ok(phys) = frames::alloc_order(shape.order as usize) else {
            return false;
        };
        let slab = phys_to_virt(phys).cast::<Slab>();
        // SAFETY: the frames are ours and large enough for a header.
        unsafe {
            slab.write(Slab {
                free: null_mut(),
                next: null_mut(),
                prev: null_mut(),
                used: 0,
                fresh: 0,
                objects: shape.objects,
            });
            room.insert(slab);
        }
        room.empty += 1;
        room.slabs += 1;
        self.idle.fetch_add(1 << shape.order, Ordering::Relaxed);
        true
    }

    /// # Safety
    /// `object` came from this class and is no longer used.
    pub unsafe fn free(&self, class: usize, object: *mut u8) {
        let shape = &SHAPES[class];
        let slab = slab_of(class, object);
        let mut room = self.classes[class].with_room.lock();
        // SAFETY: slabs are aligned to their size, so the header is at the masked address; the class is locked.
        unsafe {
            let link = object.cast::<*mut u8>();
            *link = (*slab).free.cast();
            (*slab).free = link;
            if (*slab).used == shape.objects {
                room.insert(slab);
            }
            (*slab).used -= 1;
            if (*slab).used == 0 {
                if room.empty == 0 {
                    room.empty = 1;
                    self.idle.fetch_add(1 << shape.order, Ordering::Relaxed);
                } else {
                    room.remove(slab);
                    room.slabs -= 1;
                    drop(room);
                    frames::free_order(virt_to_phys(slab.cast()), shape.order as usize);
                }
            }
        }
    }
}

impl Room {
    /// # Safety
    /// `slab` is live, of this class and not in the list.
    unsafe fn insert(&mut self, slab: *mut Slab) {
        // SAFETY: the caller's promise; the others in the list are live.
        unsafe {
            (*slab).prev = null_mut();
            (*slab).next = self.first;
            if !self.first.is_null() {
                (*self.first).prev = slab;
            }
        }
        self.first = slab;
    }

    /// # Safety
    /// `slab` is in the list.
    unsafe fn remove(&mut self, slab: *mut Slab) {
        // SAFETY: the caller's promise; neighbours in the list are live.
        unsafe {
            let Slab { next, prev, .. } = *slab;
            if prev.is_null() {
                self.first = next;
            } else {
                (*prev).next = next;
            }
            if !next.is_null() {
                (*next).prev = prev;
            }
        }
    }
}
