#!/bin/bash
# Reads an event stream with curl, and comes back where it was: prints the data of
# each unnamed event. Usage: curl.sh URL [OPTION OF CURL]…
url=$1 && shift
id= next= event= data= sep= wait=1
dispatch() {
	if [ -n "$sep" ] && [ -z "$event" ]; then printf '%s\n' "$data"; fi
	id=$next event= data= sep=
}
while :; do
	status=
	# The last line is curl's: no event stream has such a field.
	while IFS= read -r line; do
		case $line in
		"") dispatch ;;
		"id: "*) next=${line#id: } ;;
		"event: "*) event=${line#event: } ;;
		"data: "*) data+=$sep${line#data: } sep=$'\n' ;;
		"retry: "*) printf -v wait '%d.%03d' $((${line#retry: } / 1000)) $((${line#retry: } % 1000)) ;;
		"status: "*) status=${line#status: } ;;
		esac
	done < <(curl -sN "$@" -H 'Accept: text/event-stream' ${id:+-H "Last-Event-ID: $id"} -w '\nstatus: %{http_code}\n' "$url")
	next=$id event= data= sep= # what has not come whole comes again
	case $status in 204 | 400 | 401 | 403 | 404 | 409) exit 1 ;; esac
	sleep "$wait"
done
