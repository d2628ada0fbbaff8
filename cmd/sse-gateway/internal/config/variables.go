package config

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sse-gateway/sse-gateway/gateway/access"
	"github.com/sse-gateway/sse-gateway/gateway/access/outbound"
	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

// Variable describes one environment variable, as the tags of Config do.
type Variable struct {
	Name    string
	Group   string
	Kind    string
	Meaning string

	field      int      // index in Config
	words      []string // what it may be; none: anything of its kind
	value      string   // default
	shown      string   // what tables say instead of the default; "": the default
	devDefault string   // "": the same as value
}

// Variables returns the variables in the order of Config.
func Variables() []Variable {
	t := reflect.TypeFor[Config]()
	vs := make([]Variable, 0, t.NumField())
	group := ""
	for i := range t.NumField() {
		f := t.Field(i)
		group = cmp.Or(f.Tag.Get("group"), group)
		vs = append(vs, Variable{
			Name: f.Tag.Get("env"), Group: group, Kind: kindOf(f), Meaning: f.Tag.Get("desc"),
			field: i, words: strings.Fields(f.Tag.Get("words")), value: f.Tag.Get("default"), shown: f.Tag.Get("shown"), devDefault: f.Tag.Get("dev"),
		})
	}
	return vs
}

func kindOf(f reflect.StructField) string {
	switch f.Type.Name() {
	case "":
		return "list"
	case "Duration":
		return "duration"
	case "Secret":
		return "secret"
	case "int":
		return "number"
	}
	if f.Tag.Get("words") != "" {
		return "word"
	}
	return f.Type.Name() // string, bool, size
}

// Default is the default as tables show it.
func (v Variable) Default() string {
	text := cmp.Or(v.shown, v.value, "none")
	if v.devDefault != "" {
		text += " (dev: " + v.devDefault + ")"
	}
	return text
}

// readVariables sets every field of c from the environment, or to its default
// if the variable is unset, empty (as Compose and CI pass on what is unset) or
// wrong. It returns an error for each wrong value.
func readVariables(c *Config, dev bool) (mistakes []error) {
	fields := reflect.ValueOf(c).Elem()
	for _, v := range Variables() {
		field := fields.Field(v.field).Addr().Interface()
		if s := os.Getenv(v.Name); s != "" {
			accepted := v.set(field, s)
			if accepted == "" {
				continue
			}
			mistakes = append(mistakes, &valueError{v.Name, s, accepted})
		}
		value := v.value
		if dev {
			value = cmp.Or(v.devDefault, value)
		}
		if value != "" && v.set(field, value) != "" {
			panic(v.Name + ": its default is wrong") // the tags are constant
		}
	}
	return mistakes
}

// set sets the field that it is given a pointer to. If s is nothing that the field
// takes, it returns in words what is.
func (v Variable) set(field any, s string) (accepted string) {
	var err error
	switch f := field.(type) {
	case *string:
		if *f = s; len(v.words) > 0 && !slices.Contains(v.words, s) {
			return oneOf(v.words)
		}
	case *access.Secret:
		*f = access.Secret(s)
	case *[]string:
		*f = parseList(s)
	case *bool:
		accepted = "true or false"
		*f, err = strconv.ParseBool(s)
	case *int:
		accepted = "a whole number"
		*f, err = strconv.Atoi(s)
	case *time.Duration:
		accepted = "a duration such as 500ms, 15s or 2m"
		*f, err = time.ParseDuration(s)
	case *size:
		accepted = acceptedSize
		*f, err = parseSize(s)
	default:
		panic(fmt.Sprintf("%s: no way to read a %T", v.Name, field))
	}
	if err == nil {
		return ""
	}
	return accepted
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

// Print prints each variable that has a value, as it counts, with secrets masked.
func (c *Config) Print(w io.Writer) {
	fields := reflect.ValueOf(c).Elem()
	for _, v := range Variables() {
		text := fmt.Sprint(fields.Field(v.field).Interface())
		switch {
		case v.Kind == "list":
			text = strings.Join(fields.Field(v.field).Interface().([]string), ",")
		case v.Name == "SSE_REDIS_URL":
			text = redisurl.Redact(string(c.RedisURL))
		case v.Name == "SSE_KEY_PREFIX":
			text = cmp.Or(text, noPrefix)
		case v.Name == "SSE_AUTH_URL", v.Name == "SSE_JWKS_URL":
			text = outbound.MaskURL(text)
		}
		if text != "" {
			fmt.Fprintf(w, "%s=%s\n", v.Name, text)
		}
	}
}
