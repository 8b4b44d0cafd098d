package templates

import (
	"bytes"
	"strings"
)

// groupImports splits the import block of jennifer, which is one list sorted by
// path, into the standard library and the rest.
func groupImports(src []byte) []byte {
	const open, end = "import (\n", ")\n"
	before, rest, ok := bytes.Cut(src, []byte("\n"+open))
	if !ok {
		return src // at most one import
	}
	block, after, _ := bytes.Cut(rest, []byte("\n"+end))

	var std, others []string
	for line := range strings.Lines(string(block) + "\n") {
		if isStd(line) {
			std = append(std, line)
		} else {
			others = append(others, line)
		}
	}
	var out bytes.Buffer
	out.Write(before)
	out.WriteString("\n" + open)
	out.WriteString(strings.Join(std, ""))
	if len(std) > 0 && len(others) > 0 {
		out.WriteString("\n")
	}
	out.WriteString(strings.Join(others, ""))
	out.WriteString(end)
	out.Write(after)
	return out.Bytes()
}

// isStd says whether an import line names a package of the standard library: the
// first element of its path has no dot.
func isStd(line string) bool {
	_, path, _ := strings.Cut(line, `"`)
	first, _, _ := strings.Cut(strings.TrimRight(path, "\"\n"), "/")
	return !strings.Contains(first, ".")
}
