// Package crds keeps the API types that the custom resource definitions of KEDA
// and of the Prometheus operator are generated from.
package crds

import (
	_ "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)
