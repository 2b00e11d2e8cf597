// What the pipeline may do: submit runs, register data and models, deploy, and have deployments run as their identity.

@description('Object id of the service principal behind the service connection.')
param principalId string

@description('The workspace that it evaluates and deploys in.')
param workspaceName string

@description('Storage account of the workspace.')
param storageName string

@description('Identity that deployments run as.')
param endpointIdentityName string

// Ids of Azure's built-in roles are the same everywhere.
var azureMLDataScientist = 'f6c7c914-8db3-469d-8ca1-694a8f32e121'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var managedIdentityOperator = 'f1a07417-d97a-45cb-824c-7a7467783830'

resource workspace 'Microsoft.MachineLearningServices/workspaces@2024-10-01' existing = {
  name: workspaceName
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageName
}

resource endpointIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: endpointIdentityName
}

resource worksInWorkspace 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: workspace
  name: guid(workspace.id, principalId, azureMLDataScientist)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', azureMLDataScientist)
  }
}

resource writesData 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, principalId, storageBlobDataContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
  }
}

resource assignsIdentity 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: endpointIdentity
  name: guid(endpointIdentity.id, principalId, managedIdentityOperator)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', managedIdentityOperator)
  }
}
