package main

import (
	"cmp"
	"encoding"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
)

// variable describes one environment variable, as the tags of config do.
type variable struct {
	name       string
	group      string
	field      int // index in config
	kind       string
	value      string // default
	shown      string // what tables say instead of the default; "": the default
	devDefault string // "": the same as value
	meaning    string
}

// variables returns the variables in the order of config.
func variables() []variable {
	t := reflect.TypeFor[config]()
	vs := make([]variable, 0, t.NumField())
	group := ""
	for i := range t.NumField() {
		f := t.Field(i)
		group = cmp.Or(f.Tag.Get("group"), group)
		vs = append(vs, variable{
			name: f.Tag.Get("env"), group: group, field: i, kind: kindOf(f.Type), value: f.Tag.Get("default"),
			shown: f.Tag.Get("shown"), devDefault: f.Tag.Get("dev"), meaning: f.Tag.Get("desc"),
		})
	}
	return vs
}

func kindOf(t reflect.Type) string {
	switch t.Name() {
	case "Duration":
		return "duration"
	case "Secret":
		return "secret"
	case "logLevel", "format", "role", "compression":
		return "word"
	case "int":
		return "number"
	}
	return t.Name() // string, bool, list, size
}

// defaultText is the default as tables show it.
func (v variable) defaultText() string {
	text := cmp.Or(v.shown, v.value, "none")
	if v.devDefault != "" {
		text += " (dev: " + v.devDefault + ")"
	}
	return text
}

// readVariables sets every field of c from the environment, or to its default
// if the variable is unset, empty (as Compose and CI pass on what is unset) or
// wrong. It returns an error for each wrong value.
func readVariables(c *config, dev bool) (mistakes []error) {
	fields := reflect.ValueOf(c).Elem()
	for _, v := range variables() {
		field := fields.Field(v.field).Addr().Interface()
		if s := os.Getenv(v.name); s != "" {
			if decode(field, s) == nil {
				continue
			}
			mistakes = append(mistakes, &valueError{v.name, s, accepted(field)})
		}
		value := v.value
		if dev {
			value = cmp.Or(v.devDefault, value)
		}
		if value == "" {
			continue
		}
		if err := decode(field, value); err != nil {
			panic(fmt.Sprintf("%s: default %q: %v", v.name, value, err)) // the tags are constant
		}
	}
	return mistakes
}

// decode sets the field that it is given a pointer to.
func decode(field any, s string) (err error) {
	switch f := field.(type) {
	case *string:
		*f = s
	case *access.Secret:
		*f = access.Secret(s)
	case *bool:
		*f, err = strconv.ParseBool(s)
	case *int:
		*f, err = strconv.Atoi(s)
	case *time.Duration:
		*f, err = time.ParseDuration(s)
	case encoding.TextUnmarshaler:
		err = f.UnmarshalText([]byte(s))
	default:
		err = fmt.Errorf("no way to read a %T", field)
	}
	return err
}

// valueError says that a variable has a value that cannot be used.
type valueError struct{ name, value, accepted string }

func (e *valueError) Error() string {
	return fmt.Sprintf("%s=%s: accepted is %s", e.name, quote(e.value), e.accepted)
}

// quote quotes a value at a length that can be shown.
func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return strconv.Quote(s)
}

// accepted says in words what a field takes.
func accepted(field any) string {
	switch field.(type) {
	case *time.Duration:
		return "a duration such as 500ms, 15s or 2m"
	case *int:
		return "a whole number"
	case *bool:
		return "true or false"
	case *size:
		return acceptedSize
	case *logLevel:
		return "debug, info, warn or error"
	case *role:
		return "master or replica"
	case *readiness:
		return "any, all or started"
	case *compression:
		return "off or gzip"
	case *format:
		return "text or json"
	}
	return fmt.Sprintf("a %T", field)
}
