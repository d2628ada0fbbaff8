// Package report is the outcome of a run: what is measured, its JSON and its
// table, what was used of the machine, and the sentence that says whether the run
// held and what limited it.
package report
