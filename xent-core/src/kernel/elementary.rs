//! The elementary functions themselves, for the tests over all their inputs.

use super::map::{Map, map_in_place};
use crate::math::exp::exp_scaled;
use crate::math::ln::{ln, ln_of_normal};
use crate::math::ln_1p::{ln_1p, ln_1p_inside, ln_1p_of_fraction};
use crate::math::tanh::tanh;
use crate::simd::{InTurn, Simd};

macro_rules! elementary {
    ($($name:ident $map:ident $function:path;)*) => {$(
        struct $map;

        impl<S: Simd> Map<S> for $map {
            #[inline(always)]
            fn of(&self, s: S, x: S::F32, _: S::F32) -> S::F32 {
                $function(s, x)
            }
        }

        #[inline(always)]
        pub(crate) fn $name<S: Simd>(s: S, x: &mut [f32]) {
            map_in_place(s, x, &$map);
        }
    )*};
}

/// [`exp_scaled`] of four in turn, which have the same argument.
#[inline(always)]
fn exp_in_turn<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let [y, ..] = exp_scaled(InTurn(s), [x; 4]);
    y
}

elementary! {
    exp_in_place Exp exp_scaled;
    exp_in_turn_in_place ExpInTurn exp_in_turn;
    ln_in_place Ln ln;
    ln_of_normal_in_place LnOfNormal ln_of_normal;
    ln_1p_in_place Ln1p ln_1p;
    ln_1p_of_fraction_in_place Ln1pOfFraction ln_1p_of_fraction;
    ln_1p_inside_in_place Ln1pInside ln_1p_inside;
    tanh_in_place Tanh tanh;
}
