//! Where everything stands: in columns from left to right, causes before what they cause. The way of
//! Sugiyama, Tagawa and Toda (1981): columns by the longest way, order by the neighbours' mean.

use super::model::{Effect, Graph, Kind, Node};
use std::collections::BTreeMap;

/// How often the order of the columns is improved.
const SWEEPS: usize = 12;

/// The least room between two shapes of a column, and between two columns.
const GAP: f32 = 22.0;
const AISLE: f32 = 90.0;

/// The height of a shape, and of what only joins arrows.
const TALL: f32 = 40.0;
const SMALL: f32 = 30.0;

/// Room around everything.
const MARGIN: f32 = 24.0;

/// How wide the rows of shapes are that nothing leads to or from.
const ROW: f32 = 1100.0;

/// A shape's place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spot {
    /// The middle.
    pub x: f32,
    /// The middle.
    pub y: f32,
    /// How wide.
    pub width: f32,
    /// How tall.
    pub height: f32,
}

/// Where everything stands.
pub struct Layout {
    /// Each node's place.
    pub spots: Vec<Spot>,
    /// The points that each line goes through between its ends.
    pub bends: Vec<Vec<(f32, f32)>>,
    /// How wide everything is.
    pub width: f32,
    /// How tall everything is.
    pub height: f32,
}

/// What stands in a column: a node, or a bend of a line that goes by.
struct Cell {
    column: usize,
    width: f32,
    height: f32,
    x: f32,
    y: f32,
    before: Vec<usize>,
    behind: Vec<usize>,
}

/// Lays a picture out.
pub fn lay_out(graph: &Graph) -> Layout {
    let columns = columns(graph);
    let mut cells: Vec<Cell> = graph
        .nodes
        .iter()
        .zip(&columns)
        .map(|(node, column)| {
            let (width, height) = size(node);
            let column = column.unwrap_or(0);
            Cell { column, width, height, x: 0.0, y: 0.0, before: Vec::new(), behind: Vec::new() }
        })
        .collect();
    let passing: Vec<Vec<usize>> =
        graph.lines.iter().map(|line| pass(&mut cells, line.from, line.to)).collect();
    let mut order: Vec<Vec<usize>> = Vec::new();
    for (number, cell) in cells.iter().enumerate() {
        let apart = columns.get(number).is_some_and(Option::is_none);
        if !apart {
            if order.len() <= cell.column {
                order.resize_with(cell.column + 1, Vec::new);
            }
            order[cell.column].push(number);
        }
    }
    for sweep in 0..SWEEPS {
        sort(&mut order, &cells, sweep % 2 == 0);
    }
    stand(&order, &mut cells);
    let apart = (0..graph.nodes.len()).filter(|number| columns[*number].is_none());
    let below = cells.iter().map(|cell| cell.y + cell.height / 2.0).fold(0.0, f32::max);
    let below = if order.is_empty() { MARGIN } else { below + 2.0 * GAP };
    rows(apart, below, &mut cells);
    let spot = |cell: &Cell| Spot { x: cell.x, y: cell.y, width: cell.width, height: cell.height };
    let spots: Vec<Spot> = cells.iter().take(graph.nodes.len()).map(spot).collect();
    let right = spots.iter().map(|spot| spot.x + spot.width / 2.0).fold(0.0, f32::max);
    let bottom = cells.iter().map(|cell| cell.y + cell.height / 2.0).fold(0.0, f32::max);
    let point = |number: &usize| cells.get(*number).map(|cell| (cell.x, cell.y));
    let bends = passing.iter().map(|numbers| numbers.iter().filter_map(point).collect()).collect();
    Layout { spots, bends, width: right + MARGIN, height: bottom + MARGIN }
}

fn size(node: &Node) -> (f32, f32) {
    match node.kind {
        Kind::All | Kind::Any => (SMALL, SMALL),
        Kind::Job(_) | Kind::Missing | Kind::Event => {
            let label = node.label.chars().count() as f32 * 7.8;
            let note = node.note.chars().count() as f32 * 5.8;
            (label.max(note) + 28.0, if node.note.is_empty() { SMALL } else { TALL })
        }
    }
}

/// Returns the column of each node; none for those that no line leads to or from. What stops a job
/// says nothing of where it stands.
fn columns(graph: &Graph) -> Vec<Option<usize>> {
    let count = graph.nodes.len();
    let mut behind: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut joined = vec![false; count];
    for line in &graph.lines {
        for end in [line.from, line.to] {
            joined[end] = true;
        }
        let joins = matches!(graph.nodes[line.to].kind, Kind::All | Kind::Any);
        if line.effect != Effect::Stops || joins {
            behind[line.from].push(line.to);
        }
    }
    let order = forwards(&behind);
    let place: BTreeMap<usize, usize> =
        order.iter().enumerate().map(|(place, number)| (*number, place)).collect();
    let mut column = vec![0; count];
    for from in &order {
        for to in &behind[*from] {
            // A line that leads back to what led to it is no reason to stand further right.
            if place[from] < place[to] {
                column[*to] = column[*to].max(column[*from] + 1);
            }
        }
    }
    column.into_iter().zip(joined).map(|(column, joined)| joined.then_some(column)).collect()
}

/// Returns the nodes so that lines lead forwards, as far as there is no ring.
fn forwards(behind: &[Vec<usize>]) -> Vec<usize> {
    let mut done = vec![false; behind.len()];
    let mut last = Vec::with_capacity(behind.len());
    for root in 0..behind.len() {
        let mut path = vec![(root, 0)];
        if std::mem::replace(&mut done[root], true) {
            continue;
        }
        while let Some((at, next)) = path.pop() {
            match behind[at].get(next).copied() {
                Some(to) => {
                    path.push((at, next + 1));
                    if !std::mem::replace(&mut done[to], true) {
                        path.push((to, 0));
                    }
                }
                None => last.push(at),
            }
        }
    }
    last.reverse();
    last
}

/// Leads a line through the columns between its ends; returns the cells it goes by.
fn pass(cells: &mut Vec<Cell>, from: usize, to: usize) -> Vec<usize> {
    let (first, last) = (cells[from].column, cells[to].column);
    let mut passing = Vec::new();
    let mut at = from;
    for column in first + 1..last {
        let number = cells.len();
        let before = vec![at];
        cells.push(Cell {
            column,
            width: 0.0,
            height: 4.0,
            x: 0.0,
            y: 0.0,
            before,
            behind: Vec::new(),
        });
        cells[at].behind.push(number);
        passing.push(number);
        at = number;
    }
    if first < last {
        cells[at].behind.push(to);
        cells[to].before.push(at);
    }
    passing
}

/// Puts each column into the order of what stands before it, or behind it.
fn sort(order: &mut [Vec<usize>], cells: &[Cell], by_before: bool) {
    let mut places = vec![0.0; cells.len()];
    for column in order.iter() {
        for (place, number) in column.iter().enumerate() {
            places[*number] = place as f32;
        }
    }
    let columns = order.len();
    for step in 0..columns {
        let at = if by_before { step } else { columns - 1 - step };
        let column = &mut order[at];
        let mut keyed: Vec<(f32, usize)> = column
            .iter()
            .map(|number| {
                let cell = &cells[*number];
                let next = if by_before { &cell.before } else { &cell.behind };
                let sum: f32 = next.iter().map(|other| places[*other]).sum();
                let mean = if next.is_empty() { places[*number] } else { sum / next.len() as f32 };
                (mean, *number)
            })
            .collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        *column = keyed.into_iter().map(|(_, number)| number).collect();
        for (place, number) in column.iter().enumerate() {
            places[*number] = place as f32;
        }
    }
}

/// Gives every cell its place: as near to its neighbours as the order allows.
fn stand(order: &[Vec<usize>], cells: &mut [Cell]) {
    let mut left = MARGIN;
    for column in order {
        let widest = column.iter().map(|number| cells[*number].width).fold(0.0, f32::max);
        let mut top = MARGIN;
        for number in column {
            let cell = &mut cells[*number];
            cell.x = left + widest / 2.0;
            cell.y = top + cell.height / 2.0;
            top += cell.height + GAP;
        }
        left += widest + AISLE;
    }
    for sweep in 0..SWEEPS {
        for step in 0..order.len() {
            let at = if sweep % 2 == 0 { step } else { order.len() - 1 - step };
            settle(&order[at], cells);
        }
    }
    let top = cells.iter().map(|cell| cell.y - cell.height / 2.0).fold(f32::MAX, f32::min);
    for cell in cells.iter_mut().filter(|cell| cell.x > 0.0) {
        cell.y += MARGIN - top.min(MARGIN);
    }
}

/// Moves the cells of one column towards their neighbours.
fn settle(column: &[usize], cells: &mut [Cell]) {
    let wanted: Vec<f32> = column
        .iter()
        .map(|number| {
            let cell = &cells[*number];
            let next: Vec<f32> =
                cell.before.iter().chain(&cell.behind).map(|other| cells[*other].y).collect();
            let sum: f32 = next.iter().sum();
            if next.is_empty() {
                cell.y
            } else {
                sum / next.len() as f32
            }
        })
        .collect();
    let mut bottom = f32::MIN;
    let mut moved = 0.0;
    for (number, wanted) in column.iter().zip(&wanted) {
        let half = cells[*number].height / 2.0;
        let y = wanted.max(bottom + half);
        moved += y - wanted;
        cells[*number].y = y;
        bottom = y + half + GAP;
    }
    // Pushed down as a whole, it comes up as a whole.
    let back = moved / column.len().max(1) as f32;
    column.iter().for_each(|number| cells[*number].y -= back);
}

/// Puts what stands for itself into rows below everything.
fn rows(numbers: impl Iterator<Item = usize>, from: f32, cells: &mut [Cell]) {
    let (mut left, mut top) = (MARGIN, from);
    for number in numbers {
        let cell = &mut cells[number];
        if left + cell.width > ROW && left > MARGIN {
            left = MARGIN;
            top += TALL + GAP;
        }
        cell.x = left + cell.width / 2.0;
        cell.y = top + TALL / 2.0;
        left += cell.width + GAP;
    }
}
