//! The recovery passwords that agree with a pattern, in order of likelihood, each found by its number.

use secret::RecoveryPassword;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::pattern::{DigitPattern, GROUP_DIGITS};

/// Groups of a recovery password.
const GROUPS: usize = 8;
/// Mistakes in all that can be allowed for.
pub const MAX_ERRORS: usize = 4;

/// What else may be wrong with what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// Mistakes in the whole key, at most [`MAX_ERRORS`]: a digit that is another, or two neighbours swapped.
    pub errors: usize,
    /// Whether two whole groups may have changed places, when nothing else is wrong.
    pub swapped_groups: bool,
}

/// All candidates of a pattern. A candidate has a number, so that a search can be divided, stopped and taken up again.
pub struct Candidates {
    groups: [Group; GROUPS],
    blocks: Vec<Block>,
    count: u64,
}

/// The numbers that a group may stand for (a sixteenth of the key each), by how many mistakes they need.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Group {
    by_errors: [Vec<u16>; MAX_ERRORS + 1],
}

/// Candidates that share how many mistakes each group has.
struct Block {
    first: u64,
    count: u64,
    errors: [usize; GROUPS],
    /// Two groups that change places.
    swapped: Option<(usize, usize)>,
}

impl Candidates {
    /// Counts the candidates; `None` when there are more than 2^63, which no computer will ever try.
    #[must_use]
    pub fn new(pattern: &DigitPattern, tolerance: Tolerance) -> Option<Self> {
        let groups: [Group; GROUPS] = std::array::from_fn(|index| Group::new(&Zeroizing::new(pattern.group(index))));
        let mut all = Self { groups, blocks: Vec::new(), count: 0 };
        for errors in 0..=tolerance.errors.min(MAX_ERRORS) {
            all.distribute(&mut [0; GROUPS], 0, errors)?;
            if errors == 0 && tolerance.swapped_groups {
                for (first, second) in (0..GROUPS).flat_map(|a| (a + 1..GROUPS).map(move |b| (a, b))) {
                    all.push([0; GROUPS], Some((first, second)))?;
                }
            }
        }
        Some(all)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Groups, from 1, that no valid group agrees with as they were read: there is a mistake in each.
    pub fn impossible_groups(&self) -> impl Iterator<Item = usize> {
        (1..).zip(&self.groups).filter(|(_, group)| group.by_errors[0].is_empty()).map(|(number, _)| number)
    }

    /// The candidate with a number below [`Self::count`].
    #[must_use]
    pub fn get(&self, number: u64) -> Option<RecoveryPassword> {
        let index = self.blocks.partition_point(|block| block.first + block.count <= number);
        let block = self.blocks.get(index)?;
        let mut rest = number - block.first;
        let mut values = Zeroizing::new([0_u16; GROUPS]);
        for ((value, group), errors) in values.iter_mut().zip(&self.groups).zip(block.errors).rev() {
            let choices = &group.by_errors[errors];
            let choice = rest % choices.len() as u64;
            rest /= choices.len() as u64;
            *value = *choices.get(usize::try_from(choice).ok()?)?;
        }
        if let Some((first, second)) = block.swapped {
            values.swap(first, second);
        }
        let mut key = Zeroizing::new([0; 16]);
        for (bytes, value) in key.chunks_exact_mut(2).zip(values.iter()) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        Some(RecoveryPassword::from_key(&key))
    }

    /// All ways of dividing `left` mistakes among the groups from `from` on.
    fn distribute(&mut self, errors: &mut [usize; GROUPS], from: usize, left: usize) -> Option<()> {
        if from == GROUPS - 1 {
            errors[from] = left;
            return self.push(*errors, None);
        }
        for here in 0..=left {
            errors[from] = here;
            self.distribute(errors, from + 1, left - here)?;
        }
        Some(())
    }

    fn push(&mut self, errors: [usize; GROUPS], swapped: Option<(usize, usize)>) -> Option<()> {
        let sizes = self.groups.iter().zip(errors).map(|(group, errors)| group.by_errors[errors].len() as u64);
        let count = sizes.into_iter().try_fold(1_u64, u64::checked_mul)?;
        let end = self.count.checked_add(count).filter(|end| *end <= i64::MAX.unsigned_abs())?;
        if count > 0 {
            self.blocks.push(Block { first: self.count, count, errors, swapped });
        }
        self.count = end;
        Some(())
    }
}

impl Group {
    fn new(places: &[u16; GROUP_DIGITS]) -> Self {
        let all = || (0..=u16::MAX).map(|number| (number, mistakes(places, &digits(u32::from(number) * 11))));
        // Counted first: a vector that grows leaves copies behind that nobody wipes.
        let mut counts = [0; MAX_ERRORS + 1];
        for (_, errors) in all() {
            if let Some(count) = counts.get_mut(errors) {
                *count += 1;
            }
        }
        let mut group = Self { by_errors: counts.map(Vec::with_capacity) };
        for (number, errors) in all() {
            if let Some(found) = group.by_errors.get_mut(errors) {
                found.push(number);
            }
        }
        group
    }
}

fn digits(value: u32) -> [u32; GROUP_DIGITS] {
    let mut digits = [0; GROUP_DIGITS];
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit = rest % 10;
        rest /= 10;
    }
    digits
}

/// The fewest mistakes that turn `digits` into what was read: another digit, or two neighbours swapped, counts one.
fn mistakes(places: &[u16; GROUP_DIGITS], digits: &[u32; GROUP_DIGITS]) -> usize {
    let fits = |place: usize, digit: usize| places[place] & (1 << digits[digit]) != 0;
    let mut fewest = [0; GROUP_DIGITS + 1];
    for place in 0..GROUP_DIGITS {
        let mut best = fewest[place] + usize::from(!fits(place, place));
        if place > 0 && fits(place, place - 1) && fits(place - 1, place) {
            best = best.min(fewest[place - 1] + 1);
        }
        fewest[place + 1] = best;
    }
    fewest[GROUP_DIGITS]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "235818-357951-253979-013365-241120-245575-342914-591910";

    fn candidates(text: &str, errors: usize, swapped_groups: bool) -> Candidates {
        Candidates::new(&DigitPattern::parse(text).unwrap(), Tolerance { errors, swapped_groups }).unwrap()
    }

    fn holds(all: &Candidates, text: &str) -> Option<u64> {
        let wanted = RecoveryPassword::parse(text).unwrap();
        (0..all.count()).find(|number| all.get(*number).unwrap() == wanted)
    }

    #[test]
    fn a_whole_key_is_its_only_candidate() {
        let all = candidates(KNOWN, 0, false);
        assert_eq!((all.count(), holds(&all, KNOWN)), (1, Some(0)));
        assert!(all.get(1).is_none());
    }

    #[test]
    fn one_unknown_group_has_65536_candidates() {
        let all = candidates(&KNOWN.replace("013365", "??????"), 0, false);
        assert_eq!(all.count(), 65_536);
        assert_eq!(holds(&all, KNOWN), Some(13_365 / 11));
    }

    #[test]
    fn one_unknown_digit_is_found_from_the_check_digit() {
        let all = candidates(&KNOWN.replace("013365", "01?365"), 0, false);
        assert_eq!((all.count(), holds(&all, KNOWN)), (1, Some(0)));
        // Two unknown digits leave about a hundred elevenths.
        let all = candidates(&KNOWN.replace("357951", "35??51"), 0, false);
        assert!((8..=10).contains(&all.count()) && holds(&all, KNOWN).is_some(), "{}", all.count());
    }

    #[test]
    fn mistakes_come_in_order_of_their_number() {
        // One digit read wrong: the group is impossible as it stands.
        let all = candidates(&KNOWN.replace("253979", "258979"), 2, false);
        assert_eq!(all.impossible_groups().collect::<Vec<_>>(), [3]);
        let number = holds(&all, KNOWN).unwrap();
        let one_mistake = candidates(&KNOWN.replace("253979", "258979"), 1, false).count();
        assert!(number < one_mistake && one_mistake < 12 && one_mistake < all.count(), "{number} {one_mistake}");
        // Two neighbours swapped.
        let swapped = candidates(&KNOWN.replace("241120", "214120"), 1, false);
        assert!(holds(&swapped, KNOWN).is_some());
        // Two mistakes in different groups.
        let two = KNOWN.replace("241120", "241121").replace("591910", "591970");
        assert_eq!(candidates(&two, 1, false).count(), 0);
        assert!(holds(&candidates(&two, 2, false), KNOWN).is_some());
    }

    #[test]
    fn groups_that_changed_places() {
        let text = KNOWN.replace("357951", "x").replace("342914", "357951").replace('x', "342914");
        assert_eq!(holds(&candidates(&text, 0, false), KNOWN), None);
        let all = candidates(&text, 0, true);
        assert_eq!((all.count(), holds(&all, KNOWN).is_some()), (1 + 28, true));
    }

    #[test]
    fn too_many_are_refused_and_none_is_counted_twice() {
        let pattern = DigitPattern::parse(&"?".repeat(48)).unwrap();
        assert!(Candidates::new(&pattern, Tolerance { errors: 0, swapped_groups: false }).is_none());
        let all = candidates(&KNOWN.replace("013365", "0133??"), 1, false);
        let mut keys: Vec<[u8; 16]> = (0..all.count()).map(|number| *all.get(number).unwrap().key()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len() as u64, all.count());
    }
}
