// Command table reads the reports that run.sh has sse-bench write and prints
// their medians beside the targets, as a Markdown table. It exits 1 when there
// is nothing to print; a target that is missed is a result, not an error.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: table DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string, w io.Writer) error {
	r, err := load(dir)
	if err != nil {
		return err
	}
	r.print(w)
	return nil
}
