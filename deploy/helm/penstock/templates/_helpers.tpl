{{- define "penstock.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "penstock.labels" -}}
app.kubernetes.io/name: penstock
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "penstock.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "penstock.podSecurity" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "penstock.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Alive: the process answers. Ready: it can do its work; /readyz says why not. A role that waits for
a server is alive, so an outage restarts nothing. */}}
{{- define "penstock.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- define "penstock.mounts" -}}
- name: config
  mountPath: /etc/penstock
  readOnly: true
{{- if .Values.existingSecret }}
- name: secrets
  mountPath: /run/secrets
  readOnly: true
{{- end }}
{{- end }}

{{- define "penstock.volumes" -}}
- name: config
  configMap:
    name: {{ include "penstock.name" . }}
{{- if .Values.existingSecret }}
- name: secrets
  secret:
    secretName: {{ .Values.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{/* Quoted names of a role's pods and of its service: (list root role replicas). */}}
{{- define "penstock.hosts" -}}
{{- $root := index . 0 }}{{ $service := printf "%s-%s" (include "penstock.name" $root) (index . 1) }}
{{- $names := list $service (printf "%s.%s.svc" $service $root.Release.Namespace) }}
{{- range $i := until (int (index . 2)) }}{{ $names = append $names (printf "%s-%d.%s" $service $i $service) }}{{ end }}
{{- range $i, $name := $names }}{{ if $i }}, {{ end }}{{ $name | quote }}{{ end }}
{{- end }}

{{/* Quoted addresses of all pods of sidecars and consumers. */}}
{{- define "penstock.roles" -}}
{{- $root := . }}
{{- range $i := until (int .Values.sidecar.replicas) }}"http://{{ include "penstock.name" $root }}-sidecar-{{ $i }}.{{ include "penstock.name" $root }}-sidecar:7070", {{ end }}
{{- range $sink, $c := .Values.consumers }}{{ range $i := until (int $c.replicas) }}"http://{{ include "penstock.name" $root }}-{{ $sink }}-{{ $i }}.{{ include "penstock.name" $root }}-{{ $sink }}:7071", {{ end }}{{ end }}
{{- end }}
