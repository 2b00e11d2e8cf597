// What a deployed flow may do: pull its image, read its files, read the secrets of the workspace's connections.

@description('Object id of the identity that deployments run as.')
param principalId string

@description('The workspace whose connections the flow uses.')
param workspaceName string

@description('Storage account of the workspace.')
param storageName string

@description('Registry of the workspace.')
param registryName string

// Ids of Azure's built-in roles are the same everywhere.
var acrPull = '7f951dda-4ed3-4680-a7ca-43fe172d538d'
var storageBlobDataReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
var workspaceConnectionSecretsReader = 'ea01e6af-a1c1-4350-9563-ad00f8c72ec5'
var metricsWriter = '635dd51f-9968-44d3-b7fb-6d9a6bd613ae'

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-10-01' existing = {
  name: workspaceName
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageName
}

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: registryName
}

resource pullsImages 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: registry
  name: guid(registry.id, principalId, acrPull)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', acrPull)
  }
}

resource readsModels 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, principalId, storageBlobDataReader)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataReader)
  }
}

resource readsConnections 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: workspace
  name: guid(workspace.id, principalId, workspaceConnectionSecretsReader)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', workspaceConnectionSecretsReader)
  }
}

resource writesMetrics 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: workspace
  name: guid(workspace.id, principalId, metricsWriter)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsWriter)
  }
}
