package console

import (
	"fmt"
	"regexp"
	"strings"
)

// The modules keep to two forms, which is what makes joining them this simple:
//
//	import { a, b } from "./other.mjs";
//	export function f … | export class C … | export const c …
var (
	importStatement = regexp.MustCompile(`(?m)^import \{([^}]*)\} from "\./([a-z]+\.mjs)";\n`)
	exportKeyword   = regexp.MustCompile(`(?m)^export (?:async )?(function|class|const) ([A-Za-z_$][\w$]*)`)
	// leftOver is a statement of another form. The snippets hold programs in
	// other languages as text; their import lines do not look like this.
	leftOver = regexp.MustCompile(`(?m)^(import\s*(?:[{*"']|[\w$]+ from)|export\b).*`)
)

// bundle joins the module named entry and all that it imports into one script.
// Each module becomes a function of its own, so that private names of two
// modules never meet; an import becomes a destructuring of the other's exports.
func bundle(read func(name string) (string, error), entry string) (string, error) {
	b := bundler{read: read, state: map[string]bool{}}
	if err := b.add(entry); err != nil {
		return "", err
	}
	return b.out.String(), nil
}

type bundler struct {
	read func(name string) (string, error)
	// state has a module from when it is first met: false while its imports
	// are being added, true when it stands in out.
	state map[string]bool
	out   strings.Builder
}

// add writes the module's imports, then the module.
func (b *bundler) add(name string) error {
	if done, met := b.state[name]; met {
		if !done {
			return fmt.Errorf("%s imports itself through others", name)
		}
		return nil
	}
	b.state[name] = false
	text, err := b.read(name)
	if err != nil {
		return err
	}
	for _, m := range importStatement.FindAllStringSubmatch(text, -1) {
		if err := b.add(m[2]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	body := importStatement.ReplaceAllStringFunc(text, func(stmt string) string {
		m := importStatement.FindStringSubmatch(stmt)
		return "const {" + m[1] + "} = " + variable(m[2]) + ";\n"
	})
	var exports []string
	for _, m := range exportKeyword.FindAllStringSubmatch(body, -1) {
		exports = append(exports, m[2])
	}
	body = exportKeyword.ReplaceAllStringFunc(body, func(s string) string {
		return strings.TrimPrefix(s, "export ")
	})
	if line := leftOver.FindString(body); line != "" {
		return fmt.Errorf("%s: unknown form %q", name, line)
	}
	fmt.Fprintf(&b.out, "const %s = (() => {\n%sreturn { %s };\n})();\n",
		variable(name), body, strings.Join(exports, ", "))
	b.state[name] = true
	return nil
}

// variable is the name under which a module's exports are kept.
func variable(module string) string {
	return "module_" + strings.TrimSuffix(module, ".mjs")
}
